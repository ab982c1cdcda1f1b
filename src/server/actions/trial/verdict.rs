//! What is wrong with a handler, from what it wrote and how it ended. Pure.

use super::run::Trial;
use crate::http::response::{ResponseFraming, parse_response};
use crate::sys::fork::Fate;

/// Longest excerpt of a response.
const EXCERPT_CHARS: usize = 60;

/// What the response says of itself, for the report.
pub(super) fn summary(trial: &Trial) -> String {
    let bytes = &trial.response.bytes;
    match parse_response(bytes, false) {
        Ok(Some(head)) => {
            let body = trial.response.total - head.len as u64;
            format!("{}, {}", first_line(bytes), counted(body, "byte of body", "bytes of body"))
        }
        _ => counted(trial.response.total, "byte", "bytes"),
    }
}

/// All that is wrong, each with the way out. Empty if the handler is fine.
pub(super) fn problems(trial: &Trial) -> Vec<String> {
    let mut problems: Vec<String> = of_the_response(trial).into_iter().collect();
    if trial.timed_out {
        problems.push(format!("it did not end within {:.0} s and was killed", trial.took.as_secs_f64()));
    } else {
        match trial.fate {
            Some(Fate::Exited(0)) | None => {}
            Some(Fate::Exited(code)) => problems.push(format!("its exit code is {code}, not 0")),
            Some(fate) => problems.push(format!("it did not exit: {fate}")),
        }
    }
    if trial.left_open {
        problems.push(
            "it left a process behind that keeps the client's connection open; redirect that one's output, for instance \
             to /dev/null"
                .into(),
        );
    }
    problems
}

fn of_the_response(trial: &Trial) -> Option<String> {
    let (bytes, total) = (&trial.response.bytes, trial.response.total);
    if total == 0 {
        return Some("it wrote nothing, so the client gets an empty reply".into());
    }
    if let Some(reason) = trial.broken {
        return Some(format!("its document response is broken: {reason}"));
    }
    let head = match parse_response(bytes, false) {
        Ok(Some(head)) => head,
        Ok(None) => {
            return Some(
                "the head of its response does not end: write an empty line after the header fields".into(),
            );
        }
        Err(_) if begins_with_a_field(bytes) => {
            return Some(format!(
                "it begins with a CGI header field, {}, but a native handler writes a status line first: \
                 HTTP/1.1 200 OK (CGI programs need --response document)",
                first_line(bytes)
            ));
        }
        Err(_) if !bytes.starts_with(b"HTTP/") => {
            return Some(format!(
                "it does not begin with a status line such as HTTP/1.1 200 OK, but with {:?}",
                first_line(bytes)
            ));
        }
        Err(why) => return Some(why.into()),
    };
    let body = total - head.len as u64;
    match head.framing {
        ResponseFraming::Length(length) if length > body => {
            Some(format!("its Content-Length is {length}, but only {body} bytes follow the head"))
        }
        ResponseFraming::Length(length) if length < body => Some(format!(
            "its Content-Length is {length}, but {body} bytes follow the head, and the client ignores the rest"
        )),
        ResponseFraming::None if body > 0 => Some(format!(
            "a response with status {} has no body, but {body} bytes follow the head",
            head.status
        )),
        _ if head.status >= 500 => {
            Some(format!("its status is {}: it reports an error of its own", head.status))
        }
        _ => None,
    }
}

/// Whether a text begins like `Content-Type: text/html`.
fn begins_with_a_field(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Some(end) = line.iter().position(|&byte| byte == b':') else { return false };
    end > 0 && line[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// The first line, short and without control characters.
fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
    visible(&line.chars().take(EXCERPT_CHARS).collect::<String>())
}

/// A text that cannot control a terminal.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
