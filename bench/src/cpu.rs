//! The share of a CPU that Lambda gives to a function: one for every 1769 MB of memory.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};

/// The memory that comes with one whole CPU, in MB.
const MB_PER_CPU: u64 = 1769;

/// The length of a slice: a function runs for its share of it and then waits for the next one.
const PERIOD_US: u64 = 20_000;

/// How much CPU a function has once it has started. Lambda starts functions at full speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Share {
    /// One CPU.
    Full,
    /// The share of a function with this many MB of memory.
    OfMemory(u64),
}

impl Share {
    pub(crate) const ALL: [Self; 4] =
        [Self::Full, Self::OfMemory(512), Self::OfMemory(256), Self::OfMemory(128)];

    /// Its name in tables and results.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Full => "full CPU".to_owned(),
            Self::OfMemory(mb) => format!("{mb} MB"),
        }
    }
}

/// Control groups, if this machine lets us write them.
#[derive(Debug, Clone)]
pub(crate) enum Groups {
    /// Version 1: the folder of the controller `cpu`.
    V1(PathBuf),
    /// Version 2: a folder whose children have the controller `cpu`.
    V2(PathBuf),
}

impl Groups {
    /// The first version in which a limit can be set.
    pub(crate) fn find() -> Option<Self> {
        let v1 = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"];
        let v2 = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let v1 = v1.into_iter().map(|path| Self::V1(path.into()));
        let v2 = v2.into_iter().map(|path| Self::V2(path.into()));
        v1.chain(v2).find(|groups| groups.group(128).is_ok())
    }

    /// Limits a process to the share of a function with `mb` of memory.
    pub(crate) fn limit(&self, pid: u32, mb: u64) -> io::Result<()> {
        fs::write(self.group(mb)?.join("cgroup.procs"), pid.to_string())
    }

    fn group(&self, mb: u64) -> io::Result<PathBuf> {
        let quota = PERIOD_US * mb / MB_PER_CPU;
        let group = |root: &Path| root.join(format!("rollcall-bench-{mb}"));
        let make = |path: PathBuf| fs::create_dir_all(&path).map(|()| path);
        match self {
            Self::V1(root) => {
                if !root.join("cpu.cfs_quota_us").exists() && !root.join("cpu.shares").exists() {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let path = make(group(root))?;
                fs::write(path.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                fs::write(path.join("cpu.cfs_quota_us"), quota.to_string())?;
                Ok(path)
            }
            Self::V2(root) => {
                fs::write(root.join("cgroup.subtree_control"), "+cpu")?;
                let path = make(group(root))?;
                fs::write(path.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
                Ok(path)
            }
        }
    }

    /// Removes what was made. A group with a process in it stays.
    pub(crate) fn remove(&self) {
        let (Self::V1(root) | Self::V2(root)) = self;
        for share in Share::ALL {
            if let Share::OfMemory(mb) = share {
                let _ = fs::remove_dir(root.join(format!("rollcall-bench-{mb}")));
            }
        }
    }
}

/// Keeps idle CPUs from sleeping while this value lives. In a virtual machine, waking one takes a
/// way to the host and back. This time has nothing to do with a function, and varies with the
/// machine's load.
#[derive(Debug)]
pub(crate) struct Awake {
    _request: fs::File,
}

impl Awake {
    /// Asks the kernel to keep them awake ([PM
    /// QoS](https://docs.kernel.org/power/pm_qos_interface.html)). `None` where that is not
    /// allowed.
    pub(crate) fn keep() -> Option<Self> {
        let mut request = fs::OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
        request.write_all(&0_i32.to_ne_bytes()).ok()?;
        Some(Self { _request: request })
    }
}

/// The CPU time that a process has used, including its ended threads.
pub(crate) fn used_by(pid: u32) -> nix::Result<Duration> {
    let clock: ClockId = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
    clock.now().map(Duration::from)
}
