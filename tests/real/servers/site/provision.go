package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// provision makes a volume for each claim that waits for one, as the CSI provisioners do.
func (s *site) provision(ctx context.Context) {
	claims, err := s.plane.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	classes, err := s.plane.client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	byName := map[string]*storagev1.StorageClass{}
	for i := range classes.Items {
		byName[classes.Items[i].Name] = &classes.Items[i]
	}
	for i := range claims.Items {
		c := &claims.Items[i]
		class := byName[ptr.Deref(c.Spec.StorageClassName, "")]
		if class == nil || c.Status.Phase != corev1.ClaimPending || c.DeletionTimestamp != nil {
			continue
		}
		waits := *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
		if waits && c.Annotations["volume.kubernetes.io/selected-node"] == "" {
			continue
		}
		// It exists already while the controller manager has not bound it yet.
		_, _ = s.plane.client.CoreV1().PersistentVolumes().Create(ctx, volumeFor(c, class), metav1.CreateOptions{})
	}
	s.reclaim(ctx)
}

// reclaim removes the released volumes of classes whose policy is Delete, as the CSI
// provisioners do; the controller manager leaves that to them.
func (s *site) reclaim(ctx context.Context) {
	volumes, err := s.plane.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range volumes.Items {
		v := &volumes.Items[i]
		if v.Status.Phase == corev1.VolumeReleased && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			_ = s.plane.client.CoreV1().PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &v.UID}})
		}
	}
}

func volumeFor(c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	handle := fmt.Sprintf("pve/pve/local-lvm/vm-9999-pvc-%s", c.UID)
	if class.Provisioner == nfsDriver {
		handle = fmt.Sprintf("nfs.example.net#srv/nfs#pvc-%s##", c.UID)
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pvc-%s", c.UID),
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": class.Provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: class.Name, PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			AccessModes: c.Spec.AccessModes, Capacity: corev1.ResourceList{"storage": c.Spec.Resources.Requests["storage"]},
			MountOptions: class.MountOptions,
			ClaimRef:     &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: class.Provisioner, VolumeHandle: handle}},
		},
	}
}

// attach keeps a VolumeAttachment for a pod's block volumes, detach removes them.
func (s *site) attach(ctx context.Context, volume, node string) {
	_, _ = s.plane.client.StorageV1().VolumeAttachments().Create(ctx, &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-" + volume},
		Spec: storagev1.VolumeAttachmentSpec{Attacher: driver, NodeName: node,
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To(volume)}},
	}, metav1.CreateOptions{})
}

func (s *site) detach(ctx context.Context, volume string) {
	_ = s.plane.client.StorageV1().VolumeAttachments().Delete(ctx, "csi-"+volume, metav1.DeleteOptions{})
}
