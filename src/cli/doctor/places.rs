//! What the change relies on must not lie on what it may break: a network file system
//! hangs when its server does, and with it whoever only looks at a path on it.

use super::{Level, Report};
use crate::cli::site::{runs, surroundings};
use crate::remote::{kubeconfig_paths, token_file};
use crate::site::Site;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A local disk answers in microseconds.
const DEADLINE: Duration = Duration::from_secs(2);

/// False when one of them hangs: nothing more can be read there, not even by us.
pub(super) async fn examine(site: &Site, state: Option<&Path>, report: &mut Report) -> bool {
    let around = surroundings();
    let kubeconfigs = site.kubernetes.iter().flat_map(|_| kubeconfig_paths(site, &around));
    let places: Vec<_> = std::iter::once(("state directory", runs(state)))
        .chain(kubeconfigs.map(|path| ("kubeconfig", path)))
        .chain(token_file(site, &around).map(|path| ("token file", path)))
        .collect();
    let mut answer = true;
    // Asked once: the kernel's list never hangs, a path may.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for (what, path) in places {
        let shown = path.display().to_string();
        let lost = format!("{shown}: does not answer; its file system hangs");
        let looked = path.clone();
        let real = tokio::task::spawn_blocking(move || there(&looked));
        let Ok(Ok(real)) = tokio::time::timeout(DEADLINE, real).await else {
            report.say(Level::Bad, what, &lost);
            answer = false;
            continue;
        };
        match network(&mounts, &real) {
            Some((kind, mount)) => report.say(
                Level::Warn,
                what,
                &format!("{shown} lies on {kind} ({mount}); it hangs when that server does"),
            ),
            None => report.say(Level::Ok, what, &shown),
        }
    }
    answer
}

/// The nearest part of a path that exists, without symbolic links.
fn there(path: &Path) -> PathBuf {
    let near = path.ancestors().find_map(|p| p.canonicalize().ok());
    near.unwrap_or_else(|| PathBuf::from("/"))
}

/// Kind and mount point of the network file system that a path lies on, from the kernel's
/// list of mounts (proc(5), `mountinfo`: mount point fifth, kind after a lone hyphen).
fn network(mounts: &str, path: &Path) -> Option<(String, String)> {
    let under = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mount = unescaped(before.split(' ').nth(4)?);
        path.starts_with(&mount).then(|| (after.split(' ').next().unwrap_or("").to_owned(), mount))
    });
    // The longest one, and of two in one place the later, which lies on top.
    let (kind, mount) = under.max_by_key(|(_, mount)| mount.len())?;
    let far = ["nfs", "cifs", "smb", "ceph", "glusterfs", "9p", "afs", "lustre", "fuse.sshfs"];
    far.iter().any(|f| kind.starts_with(f)).then_some((kind, mount))
}

/// Spaces and the like stand as `\040` there.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw shared:5 - autofs auto rw
31 30 0:41 / /home/ana rw shared:6 - nfs4 nas.example.net:/home/ana rw,vers=4.2
32 31 8:2 / /home/ana/local rw - xfs /dev/sda2 rw
33 22 0:42 / /mnt/a\\040b rw - cifs //nas.example.net/x rw
34 22 0:43 / /srv rw - nfs nas.example.net:/srv rw
35 34 8:3 / /srv rw - ext4 /dev/sda3 rw
";

    #[test]
    fn the_nearest_mount_decides() {
        for (path, wanted) in [
            ("/etc", None),
            ("/home", None),
            ("/home/ana", Some("nfs4")),
            ("/home/ana/.vault-token", Some("nfs4")),
            ("/home/anabel", None),
            ("/home/ana/local/runs", None),
            ("/mnt/a b/x", Some("cifs")),
            ("/srv/x", None),
        ] {
            let kind = network(MOUNTS, Path::new(path)).map(|(kind, _)| kind);
            assert_eq!(kind.as_deref(), wanted, "{path}");
        }
        assert_eq!(network("", Path::new("/x")), None);
    }

    #[test]
    fn a_path_that_is_not_there_yet_counts_as_its_parent_and_links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("far")).unwrap();
        std::os::unix::fs::symlink(real.join("far"), real.join("link")).unwrap();
        assert_eq!(there(&real.join("link/runs/new")), real.join("far"));
    }
}
