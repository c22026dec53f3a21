//! Files that let us in, read where a pipe without a writer, or a file system that hangs,
//! holds up nobody else: whoever waits is told which file it is.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A local disk answers in microseconds, whoever writes into a pipe within seconds.
const SOON: Duration = Duration::from_secs(5);
/// No kubeconfig, token or certificate is larger: a device may have no end.
const LARGEST: u64 = 16 << 20;

/// Does something with a file that should be over in a moment; told by its name if it is not.
pub(crate) async fn soon<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    match tokio::time::timeout(SOON, tokio::task::spawn_blocking(work)).await {
        Ok(done) => done.map_err(|e| format!("{what}: {e}")),
        Err(_) => Err(format!(
            "{what}: could not be read in {} s; is it a pipe without a writer, or on a file \
             system that hangs? name a plain file on a local disk",
            SOON.as_secs()
        )),
    }
}

/// A file's bytes.
pub(crate) async fn read_soon(path: &Path) -> Result<Vec<u8>, String> {
    let file = path.to_owned();
    let read = move || {
        let mut bytes = Vec::new();
        std::fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let shown = path.display().to_string();
    let bytes = soon(&shown, read).await?.map_err(|e| format!("{shown}: {e}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{shown}: has more than {LARGEST} bytes; is this the right file?"));
    }
    Ok(bytes)
}

/// Of files that are read again and again: a pipe gives what it has once, and a device may
/// have no end.
pub(crate) fn plain(path: &Path) -> Result<(), String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    if meta.is_file() {
        return Ok(());
    }
    Err(format!("{}: is no regular file; name a plain file", path.display()))
}

/// A pipe is read once; what has no end, or is no file at all, never.
pub(crate) fn ends(path: &PathBuf) -> Result<(), String> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(meta) = std::fs::metadata(path) else { return Ok(()) };
    // Kubeconfigs are left out by naming this one.
    let empty = path.as_path() == Path::new("/dev/null");
    let endless = meta.file_type().is_char_device() || meta.file_type().is_block_device();
    if endless && !empty || meta.is_dir() {
        return plain(path);
    }
    Ok(())
}
