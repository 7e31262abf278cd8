//! What is done to the process of a target by commands of its profile.

use crate::sim::{Inbox, NoInbox, Stopwatch};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Programs with their arguments; empty where there is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commands {
    pub kill: Vec<String>,
    pub start: Vec<String>,
    pub pause: Vec<String>,
    pub resume: Vec<String>,
    /// how long each may take, and how long the target may take to be ready once it was started
    pub timeout: Duration,
}

/// How long until it is looked again.
const MOMENT: Duration = Duration::from_millis(5);

impl Commands {
    /// Runs one of them to its end.
    pub fn run(&self, words: &[String]) -> Result<(), String> {
        run(words, self.timeout)
    }

    /// Asks until the answer is yes, or the time is over.
    pub fn wait_until(&self, ready: impl Fn() -> bool) -> bool {
        let watch = Stopwatch::start();
        while !ready() {
            if watch.seconds() > self.timeout.as_secs_f64() {
                return false;
            }
            NoInbox.wait(MOMENT);
        }
        true
    }
}

/// A process of somebody else's, and what became of it.
#[derive(Default)]
pub struct Controlled {
    commands: Commands,
    /// why it is not as it should be
    broken: Option<String>,
}

impl Controlled {
    pub fn by(commands: Commands) -> Controlled {
        Controlled { commands, broken: None }
    }
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn run(&mut self, which: fn(&Commands) -> &[String]) {
        if let Err(why) = self.commands.run(which(&self.commands)) {
            self.broken.get_or_insert(why);
        }
    }
    pub fn kill(&mut self) {
        self.run(|commands| &commands.kill);
    }
    /// Starts it, and waits until `ready` says that it is.
    pub fn start(&mut self, ready: impl Fn() -> bool) {
        self.run(|commands| &commands.start);
        if self.broken.is_none() && !self.commands.wait_until(ready) {
            self.broken = Some("it was started again, and is not ready in time".into());
        }
    }
    pub fn pause(&mut self) {
        self.run(|commands| &commands.pause);
    }
    pub fn resume(&mut self) {
        self.run(|commands| &commands.resume);
    }
}

/// A signal to a process, by the shell: it is there wherever there are signals.
pub fn signal(name: &str, process: u32) -> Result<(), String> {
    let words = ["sh", "-c", "kill -\"$1\" \"$2\"", "sh", name, &process.to_string()].map(str::to_owned);
    run(&words, Duration::from_secs(10))
}

/// Its arguments may hold what was taken from the environment, so an error names the program alone.
fn run(words: &[String], timeout: Duration) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("there is no command for it")?;
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = spawned.map_err(|error| format!("{program} cannot be started: {error}"))?;
    let watch = Stopwatch::start();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{program} failed: {status}")),
            Ok(None) if watch.seconds() > timeout.as_secs_f64() => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} did not end in {} s", timeout.as_secs()));
            }
            Ok(None) => {
                NoInbox.wait(MOMENT);
            }
            Err(error) => return Err(format!("{program}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(script: &str) -> Result<(), String> {
        run(&["sh", "-c", script].map(str::to_owned), Duration::from_millis(300))
    }

    #[test]
    fn a_command_ends_well_badly_not_at_all_or_is_not_there() {
        assert_eq!(said("exit 0"), Ok(()));
        assert!(said("exit 3").is_err_and(|why| why.contains("exit status: 3")));
        assert!(said("sleep 20").is_err_and(|why| why.contains("did not end")));
        assert!(run(&["/no/such/program".into()], Duration::ZERO).is_err_and(|why| why.contains("cannot be started")));
        assert!(run(&[], Duration::ZERO).is_err_and(|why| why.contains("no command")));
    }

    #[test]
    fn a_process_stands_still_and_goes_on() {
        let mut child = Command::new("sleep").arg("20").spawn().unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).map(|text| text.split(' ').nth(2).map(str::to_owned));
        if state().is_ok() {
            let commands = Commands { timeout: Duration::from_secs(5), ..Commands::default() };
            let stands = |yes: bool| commands.wait_until(|| (state().unwrap().as_deref() == Some("T")) == yes);
            signal("STOP", child.id()).unwrap();
            assert!(stands(true));
            signal("CONT", child.id()).unwrap();
            assert!(stands(false));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
