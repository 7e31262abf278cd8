//! A harness that has no processor to itself says that it knows nothing: neither that its target is right nor that it is slow.
#![cfg(target_os = "linux")]

use crate::stub::{SOLD_OUT, Stub};
use crate::world::{Folder, text};
use std::process::{Child, Command, Stdio};

/// A busy loop beside the harness, ended with the test.
struct Busy(Child);

impl Busy {
    fn on(core: &str) -> Busy {
        Busy(Command::new("taskset").args(["-c", core, "sh", "-c", "while :; do :; done"]).spawn().expect("a busy loop"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first core that this process may use.
fn core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the cores").trim();
    cores.split([',', '-']).next().expect("one").to_string()
}

#[test]
fn a_harness_that_is_starved_of_its_processor_says_unknown() {
    if Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("NOT RUN: there is no taskset (Debian: apt install util-linux)");
        return;
    }
    let folder = Folder::new("starved");
    let stub = Stub::start(None);
    let target = folder.write("stub.toml", stub.profile());
    let scenario = folder.write("load.toml", SOLD_OUT);
    let rate = folder.write("rate.toml", "name = \"rate\"\ntitle = \"t\"\norders = 3000\n[arrival]\nprocess = \"constant\"\nrate = 3000.0\n");
    let core = core();
    // one core, shared with five loops that are ten steps more important: a twelfth of it is left, where the load takes a third
    let _busy = [(); 5].map(|()| Busy::on(&core));
    let mut command = Command::new("taskset");
    command.args(["-c", &core, "nice", "-n", "10", env!("CARGO_BIN_EXE_orderstorm")]);
    command.args(["run", &scenario, "--profile", &rate, "--target", &target, "--faults", "none", "--record", "failures", "--out", "out"]);
    let ran = command.current_dir(folder.at("")).output().expect("it can be started");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(4), "{said}");
    let summary = folder.summary("out");
    let [case] = summary.cases() else { panic!("{said}") };
    assert!(case["verdict"] == "unknown" && text(&case["reason"]).starts_with("the harness was the bottleneck"), "{case}");
    eprintln!("{}", text(&case["reason"]));
}
