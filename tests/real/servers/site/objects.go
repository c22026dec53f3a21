package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

const (
	driver       = "csi.proxmox.sinextra.dev"
	nfsDriver    = "nfs.csi.k8s.io"
	oldClass     = "nfs-proxmox"
	newClass     = "proxmox-lvm-encrypted"
	vaultNS      = "vault"
	unsealSecret = "vault-unseal-key"
)

func (s *site) createObjects(ctx context.Context) error {
	steps := []func(context.Context) error{
		s.createNodes, s.createClasses, s.createNamespaced, s.createRights, s.createBackup, s.createStatefulSet,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) createNodes(ctx context.Context) error {
	core := s.plane.client.CoreV1()
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"kubernetes.io/hostname": name, "topology.kubernetes.io/region": "pve", "topology.kubernetes.io/zone": "pve"}}}
		if _, err := core.Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		amounts := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("20000")}
		node.Status = corev1.NodeStatus{
			Capacity: amounts, Allocatable: amounts,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(s.kubelet.port)}},
		}
		if _, err := core.Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
		// Admission marks a new node as not ready; the controller that would take the mark
		// off again is left out here, since it wants a kubelet's leases.
		if _, err := core.Nodes().Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{}); err != nil {
			return err
		}
		csi := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.CSINodeSpec{
			Drivers: []storagev1.CSINodeDriver{{Name: driver, NodeID: name, Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To(int32(28))}}}}}
		if _, err := s.plane.client.StorageV1().CSINodes().Create(ctx, csi, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) createClasses(ctx context.Context) error {
	retain, wait, immediate := corev1.PersistentVolumeReclaimRetain, storagev1.VolumeBindingWaitForFirstConsumer, storagev1.VolumeBindingImmediate
	block := map[string]string{"csi.storage.k8s.io/fstype": "ext4", "storage": "local-lvm"}
	encrypted := map[string]string{"csi.storage.k8s.io/fstype": "ext4", "storage": "local-lvm",
		"csi.storage.k8s.io/node-stage-secret-name": "proxmox-csi-encryption", "csi.storage.k8s.io/node-stage-secret-namespace": "kube-system"}
	nfs := map[string]string{"server": "nfs.example.net", "share": "/srv/nfs"}
	options := []string{"soft", "timeo=30", "retrans=3"}
	for _, c := range []storagev1.StorageClass{
		{ObjectMeta: metav1.ObjectMeta{Name: oldClass}, Provisioner: nfsDriver, ReclaimPolicy: &retain, VolumeBindingMode: &immediate, Parameters: nfs, MountOptions: options},
		{ObjectMeta: metav1.ObjectMeta{Name: "nfs-truenas"}, Provisioner: nfsDriver, ReclaimPolicy: &retain, VolumeBindingMode: &immediate, Parameters: nfs, MountOptions: options},
		{ObjectMeta: metav1.ObjectMeta{Name: "proxmox-lvm"}, Provisioner: driver, ReclaimPolicy: &retain, VolumeBindingMode: &wait, Parameters: block, AllowVolumeExpansion: ptr.To(true)},
		{ObjectMeta: metav1.ObjectMeta{Name: newClass}, Provisioner: driver, ReclaimPolicy: &retain, VolumeBindingMode: &wait, Parameters: encrypted, AllowVolumeExpansion: ptr.To(true)},
	} {
		if _, err := s.plane.client.StorageV1().StorageClasses().Create(ctx, &c, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) createNamespaced(ctx context.Context) error {
	core := s.plane.client.CoreV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: vaultNS}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	luks := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "proxmox-csi-encryption"}, StringData: map[string]string{"encryption-passphrase": token()}}
	if _, err := core.Secrets("kube-system").Create(ctx, luks, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, name := range []string{"vault-internal", "vault-active"} {
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: "None",
			Ports: []corev1.ServicePort{{Name: "api", Port: 8200}, {Name: "cluster", Port: 8201}}, Selector: map[string]string{"app": "vault"}}}
		if _, err := core.Services(vaultNS).Create(ctx, svc, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// createRights lets the second user read everything and delete nothing.
func (s *site) createRights(ctx context.Context) error {
	rbac := s.plane.client.RbacV1()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}}}}
	if _, err := rbac.ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "readers"},
		RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "readers"},
		Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: "rbac.authorization.k8s.io", Name: "readers"}}}
	_, err := rbac.ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	return err
}

func (s *site) createBackup(ctx context.Context) error {
	pod := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "backup", Image: "vault"}}}
	// A line that is due on some day of the week starts a Job on that day: as if it had been missed since yesterday.
	job := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "vault-raft-backup"}, Spec: batchv1.CronJobSpec{Schedule: "0 2 29 2 *",
		JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}}}}
	jobs := s.plane.client.BatchV1().CronJobs(vaultNS)
	made, err := jobs.Create(ctx, job, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	yesterday := metav1.NewTime(time.Now().Add(-24 * time.Hour))
	made.Status.LastScheduleTime, made.Status.LastSuccessfulTime = &yesterday, &yesterday
	_, err = jobs.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}

// statefulSet is what the chart makes, in a class.
func statefulSet(class string) *appsv1.StatefulSet {
	labels := map[string]string{"app": "vault"}
	retain := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	claim := func(name string) corev1.PersistentVolumeClaim {
		return corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: ptr.To(class),
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("2Gi")}}}}
	}
	pod := corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To(int64(10)),
		SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr.To(int64(1000)), RunAsGroup: ptr.To(int64(1000)), RunAsUser: ptr.To(int64(100)),
			RunAsNonRoot: ptr.To(true), FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch)},
		Containers: []corev1.Container{
			{Name: "vault", Image: "vault:1.18.1", Ports: []corev1.ContainerPort{{ContainerPort: 8200}, {ContainerPort: 8201}},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/vault/data"}, {Name: "audit", MountPath: "/vault/audit"}}},
			{Name: "auto-unseal", Image: "vault:1.18.1"},
		},
	}
	return &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{Name: "vault", Namespace: vaultNS, Labels: labels},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To(int32(3)), ServiceName: "vault-internal", PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector:                             &metav1.LabelSelector{MatchLabels: labels},
			UpdateStrategy:                       appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: retain, WhenScaled: retain},
			Template:                             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
			VolumeClaimTemplates:                 []corev1.PersistentVolumeClaim{claim("data"), claim("audit")},
		},
	}
}

func (s *site) createStatefulSet(ctx context.Context) error {
	text, err := yaml.Marshal(manifest(statefulSet(newClass)))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "vault-statefulset-block.yaml"), text, 0o644); err != nil {
		return err
	}
	_, err = s.plane.client.AppsV1().StatefulSets(vaultNS).Create(ctx, statefulSet(oldClass), metav1.CreateOptions{})
	return err
}

// manifest is an object as a person would write it: without status and empty fields.
func manifest(set *appsv1.StatefulSet) map[string]any {
	text, _ := yaml.Marshal(set)
	var object map[string]any
	_ = yaml.Unmarshal(text, &object)
	delete(object, "status")
	return object
}

// patchStatus is a merge patch of an object's status.
func (s *site) patchPodStatus(ctx context.Context, name string, patch []byte) error {
	_, err := s.plane.client.CoreV1().Pods(vaultNS).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
