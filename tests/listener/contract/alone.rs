//! The contract with a single worker, and across reloads to more workers and back.

use super::everywhere;
use crate::harness::Sandbox;

#[test]
fn reloads_to_and_from_a_single_worker_keep_serving() {
    everywhere(|_, listener| {
        let sandbox = Sandbox::new();
        let workers = |count: usize| sandbox.write("c.toml", format!("workers = {count}\n"));
        let config = workers(1);
        let config = config.to_str().unwrap();
        let server = listener.start(&sandbox, &["-c", config, "--respond", "fixed"]);
        for count in [1, 3, 1] {
            workers(count);
            sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
            (0..12).for_each(|_| assert_eq!(server.get("/").status, 200, "{count} workers"));
        }
    });
}
