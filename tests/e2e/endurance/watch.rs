//! Whether the gateway grows: its memory and its open files, looked at all the time.

use std::fmt;
use std::time::Duration;

use super::house::House;

/// What a gateway had at one moment.
struct Moment {
    /// Of the time that this takes.
    gone: f64,
    memory_kb: u64,
    files: u64,
    threads: u64,
}

pub(super) struct Watch(Vec<Moment>);

impl Watch {
    pub(super) async fn over(house: &House) -> Self {
        let mut moments = Vec::new();
        while !house.is_over() {
            if let Ok(Some(gateway)) = house.gateway.try_lock().as_deref() {
                let count = |folder: &str| {
                    let folder = format!("/proc/{}/{folder}", gateway.pid());
                    std::fs::read_dir(folder).unwrap().count() as u64
                };
                moments.push(Moment {
                    gone: house.gone(),
                    memory_kb: gateway.memory_kb(),
                    files: count("fd"),
                    threads: count("task"),
                });
            }
            tokio::time::sleep(EVERY).await;
        }
        Self(moments)
    }

    /// Memory, files and threads in this quarter of the time: in the middle of all that was seen.
    fn quarter(&self, number: u8) -> [u64; 3] {
        let within = |moment: &&Moment| (moment.gone * 4.0) as u8 == number;
        let moments: Vec<&Moment> = self.0.iter().filter(within).collect();
        assert!(moments.len() >= 10, "too few to mean anything");
        let middle = |of: fn(&Moment) -> u64| {
            let mut all: Vec<u64> = moments.iter().map(|moment| of(moment)).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        [middle(|m| m.memory_kb), middle(|m| m.files), middle(|m| m.threads)]
    }

    /// In its last half, in which it was never killed, the gateway has not grown.
    pub(super) fn is_flat(&self) {
        let ([memory, files, threads], later) = (self.quarter(2), self.quarter(3));
        assert!(later[0] * 100 <= memory * 105, "{memory} kB became {} kB", later[0]);
        assert!(later[1] <= files + MORE_FILES, "{files} files became {}", later[1]);
        assert!(later[2] <= threads, "{threads} threads became {}", later[2]);
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:8}{:>12}{:>12}{:>12}", "quarter", "memory kB", "open files", "threads")?;
        for quarter in 0..4 {
            let [memory, files, threads] = self.quarter(quarter);
            writeln!(f, "{:<8}{memory:>12}{files:>12}{threads:>12}", quarter + 1)?;
        }
        Ok(())
    }
}

const EVERY: Duration = Duration::from_millis(250);
/// Clients have a few connections more or less at any time.
const MORE_FILES: u64 = 16;
