//! Warns about kernels older than the oldest supported one. They do not prevent a start: missing features are replaced
//! or detected before the instance is ready, and some sandboxes only claim to be old.

/// Major and minor number.
const OLDEST: (u32, u32) = (5, 10);

/// The warning, if the kernel is older than the oldest supported one.
pub fn warning() -> Option<String> {
    let release = nix::sys::utsname::uname().ok()?.release().to_str()?.to_owned();
    let (major, minor) = OLDEST;
    (version(&release)? < OLDEST).then(|| {
        format!(
            "Linux {release} is older than {major}.{minor}, the oldest supported version; some features may fail"
        )
    })
}

/// Whether the kernel says that it is this version or a later one.
pub fn is_at_least(wanted: (u32, u32)) -> bool {
    let name = nix::sys::utsname::uname();
    name.is_ok_and(|name| version(&name.release().to_string_lossy()).is_some_and(|own| own >= wanted))
}

/// The numbers before the second dot.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        let older = |release| version(release).map(|version| version < OLDEST);
        for release in ["4.19.0-27-amd64", "5.9.16", "5.4"] {
            assert_eq!(older(release), Some(true), "{release}");
        }
        for release in ["5.10.0", "5.15.0-91-generic", "6.1", "10.0.0"] {
            assert_eq!(older(release), Some(false), "{release}");
        }
        assert_eq!((older("unknown"), older("")), (None, None));
    }
}
