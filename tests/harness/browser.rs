//! A headless Chromium, driven over a pair of pipes (`--remote-debugging-pipe`): JSON messages that end with a NUL byte.
//! <https://chromedevtools.github.io/devtools-protocol/> lists the methods.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names under which it is installed.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];
/// It ends itself after this many seconds, so that no test waits for longer.
const LONGEST_S: &str = "120";
/// Its pipes are descriptors 3 and 4.
const START: &str = "exec 3<&0 4>&1 </dev/null >/dev/null; exec \"$@\"";

/// A browser with one page.
pub struct Browser {
    program: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    sent: u64,
    page: Option<String>,
    /// Events that came before the reply to a message.
    events: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// `None` if none is installed.
    pub fn start() -> Option<Self> {
        let is_there = |name: &&str| {
            std::env::split_paths(&std::env::var_os("PATH")?)
                .any(|folder| folder.join(name).is_file())
                .then_some(())
        };
        let name = PROGRAMS.into_iter().find(|name| is_there(name).is_some())?;
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("timeout");
        command.args(["-k", "5", LONGEST_S, "sh", "-c", START, "sh", name]);
        command.args([
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--no-first-run",
            "--disable-gpu",
        ]);
        command.args(["--disable-dev-shm-usage", "--disable-background-networking", "about:blank"]);
        command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().unwrap();
        let (to, from) = (program.stdin.take().unwrap(), BufReader::new(program.stdout.take().unwrap()));
        let mut browser =
            Self { program, to, from, sent: 0, page: None, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
        browser.page = Some(session);
        browser.call("Page.enable", json!({}));
        Some(browser)
    }

    /// Sends a message and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let reply = self.read();
            match reply["id"].as_u64() {
                Some(id) if id == self.sent => {
                    assert!(reply.get("error").is_none(), "{method}: {reply}");
                    return reply["result"].clone();
                }
                _ => self.events.extend(reply["method"].as_str().map(str::to_owned)),
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        self.navigate(&format!("file://{}", file.canonicalize().unwrap().display()));
    }

    /// Opens an address and waits until it is loaded.
    pub fn navigate(&mut self, url: &str) {
        const LOADED: &str = "Page.loadEventFired";
        self.events.clear();
        self.call("Page.navigate", json!({"url": url}));
        while !self.events.iter().any(|event| event == LOADED) {
            let message = self.read();
            self.events.extend(message["method"].as_str().map(str::to_owned));
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Presses the left button of the mouse over the middle of an element.
    pub fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const one = document.querySelector({selector:?}); one.scrollIntoView({{block: 'center', behavior: 'instant'}});
               const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.value(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", mouse);
        }
    }

    /// Presses a key, named as in `KeyboardEvent.key`.
    pub fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            other => panic!("no code for {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let name = if key == " " { "Space" } else { key };
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": name, "windowsVirtualKeyCode": code, "text": text}),
            );
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({"id": 0, "method": "Browser.close"});
        if self.to.write_all(format!("{close}\0").as_bytes()).is_err() {
            let _ = self.program.kill();
        }
        let _ = self.program.wait();
    }
}
