//! What a target that answers at once would seem to need. An answer has the time at which it was read, so whoever has no processor to read tells his own
//! delay as the target's; he would tell it of himself as well.

use hdrhistogram::Histogram;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::interval;

const EVERY: Duration = Duration::from_millis(10);
/// Later than an hour is as late as that.
const LONGEST_US: u64 = 3_600_000_000;
/// Fewer are no second, and no percentile.
const FEWEST: u64 = 100;

/// A connection of the network to itself, on which a few bytes are due a hundred times a second, until this is dropped. They count from when they were due,
/// and those that were missed come, too.
pub struct Echo {
    task: AbortHandle,
    late_us: Arc<Mutex<Histogram<u32>>>,
}

impl Echo {
    /// From now on; none where nothing can be counted. `passed` says how much time has passed since whenever.
    pub fn of(handle: &Handle, passed: impl Fn() -> Duration + Send + Sync + 'static) -> Option<Echo> {
        let late_us = Arc::new(Mutex::new(Histogram::new_with_max(LONGEST_US, 3).ok()?));
        let noted = late_us.clone();
        let task = handle.spawn(async move {
            // without a connection nothing is heard, and nothing is told
            let _ = listen(&noted, &passed).await;
        });
        Some(Echo { task: task.abort_handle(), late_us })
    }

    /// All but a hundredth were heard within this time.
    pub fn p99(&self) -> Option<Duration> {
        let late = self.late_us.lock().unwrap_or_else(PoisonError::into_inner);
        (late.len() >= FEWEST).then(|| Duration::from_micros(late.value_at_quantile(0.99)))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(late_us: &Mutex<Histogram<u32>>, passed: &(impl Fn() -> Duration + Sync)) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut here = TcpStream::connect(listener.local_addr()?).await?;
    let (mut there, _) = listener.accept().await?;
    here.set_nodelay(true)?;
    // the first is due at once
    let mut due = interval(EVERY);
    let (first, began) = (due.tick().await, passed());
    let says = async {
        loop {
            let after = due.tick().await - first;
            if let Err(failed) = here.write_u64(after.as_micros() as u64).await {
                return failed;
            }
        }
    };
    let hears = async {
        loop {
            let due_us = match there.read_u64().await {
                Ok(due_us) => due_us,
                Err(failed) => return failed,
            };
            let late = (passed().saturating_sub(began).as_micros() as u64).saturating_sub(due_us);
            late_us.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late);
        }
    };
    Err(tokio::select! {
        failed = says => failed,
        failed = hears => failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a thread is held up, which takes the time that it takes")]
    fn a_network_that_is_held_up_hears_itself_late_for_all_of_that_time() {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let began = tokio::time::Instant::now();
        let echo = Echo::of(runtime.handle(), move || began.elapsed()).expect("an echo");
        assert_eq!(echo.p99(), None, "nothing was heard yet");
        let run = |ms| runtime.block_on(async { tokio::time::sleep(Duration::from_millis(ms)).await });
        run(20);
        // nobody drives it for more than a second, and then it is driven until it has caught up
        std::thread::sleep(Duration::from_millis(1_200));
        run(100);
        let late = echo.p99().expect("more than a hundred were due");
        assert!(late > Duration::from_millis(900), "{late:?}");
    }
}
