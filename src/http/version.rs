//! Later minor versions of HTTP/1, which the parser does not know and a server must not refuse. It changes one digit of
//! the input.

/// Changes HTTP/1.2 to HTTP/1.9 in the first line of `input` to HTTP/1.1, the highest version that this server speaks:
/// clients expect that (RFC 9110, section 2.5). `input` may end anywhere.
pub fn lower(input: &mut [u8]) {
    let start = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let line = input[start..].split_mut(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let version = line.splitn_mut(3, |&byte| byte == b' ').nth(2);
    if let Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9']) = version {
        *minor = b'1';
    }
}

#[cfg(test)]
mod tests {
    fn lowered(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        super::lower(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_later_minor_version_is_lowered() {
        for version in ["HTTP/1.2", "HTTP/1.9"] {
            assert_eq!(lowered(&format!("GET / {version}\r\nA: b\r\n")), "GET / HTTP/1.1\r\nA: b\r\n");
            assert_eq!(lowered(&format!("\r\nGET / {version}")), "\r\nGET / HTTP/1.1");
        }
    }

    #[test]
    fn all_else_stays() {
        for text in [
            "",
            "\r\n",
            "GET / HTTP/1.0\r\n",
            "GET / HTTP/1.",
            "GET / HTTP/2.2\r\n",
            "GET / HTTP/1.22\r\n",
            "GET / http/1.2\r\n",
            "GET HTTP/1.2\r\n",
            "GET  / HTTP/1.2\r\n",
            "GET / HTTP/1.2 x\r\n",
            "GET / HTTP/1.1\r\nA: b HTTP/1.2\r\n",
            "GET HTTP/1.2 HTTP/1.1\r\n",
            "\n\nGET / HTTP/1.2",
        ] {
            assert_eq!(lowered(text), text);
        }
    }
}
