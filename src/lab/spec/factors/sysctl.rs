//! A network setting of the kernel: `net.ipv4.tcp_migrate_req=1`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A setting that exists per network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sysctl {
    /// Such as `net.ipv4.tcp_migrate_req`.
    pub key: String,
    pub value: String,
}

impl Sysctl {
    pub fn path(&self) -> PathBuf {
        ["/proc/sys".to_owned(), self.key.replace('.', "/")].iter().collect()
    }

    /// Without the prefix of its name, for titles: `tcp_migrate_req=1`.
    pub fn short(&self) -> String {
        format!("{}={}", self.key.rsplit('.').next().unwrap_or_default(), self.value)
    }
}

impl FromStr for Sysctl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network setting; use net.ipv4.NAME=VALUE");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let word =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let fits = key.starts_with("net.") && key.split('.').all(word);
        let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if fits && plain { Ok(Self { key: key.into(), value: value.into() }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_the_network_is_read_and_nothing_else() {
        let setting: Sysctl = "net.ipv4.tcp_migrate_req=1".parse().unwrap();
        assert_eq!(setting.to_string(), "net.ipv4.tcp_migrate_req=1");
        assert_eq!(setting.path(), PathBuf::from("/proc/sys/net/ipv4/tcp_migrate_req"));
        assert_eq!(setting.short(), "tcp_migrate_req=1");
        for text in ["kernel.panic=1", "net.ipv4.x", "net.ipv4.x=", "net...=1", "net.ipv4/../../x=1", "=1"] {
            assert!(text.parse::<Sysctl>().is_err(), "{text}");
        }
    }
}
