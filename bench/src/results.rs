//! Everything that was measured.

use serde::Serialize;

use crate::{
    cpu::{Awake, Share},
    gateway::Load,
    measure::{Cold, Cost, Instructions, Spread, Warm},
    names::{FUNCTIONS, Kind, NATIVE_PEERS, NODE, PYTHON},
};

/// Where it was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// Whether its CPUs were kept from sleeping.
    pub(crate) is_kept_awake: bool,
}

impl Machine {
    pub(crate) fn this(awake: Option<&Awake>) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpu: cpu.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            is_kept_awake: awake.is_some(),
        }
    }
}

/// The size of a binary.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Size {
    pub(crate) subject: String,
    pub(crate) bytes: u64,
    pub(crate) zipped_bytes: u64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Whether CPU shares could be limited.
    pub(crate) shares: bool,
    /// What was not measured, and why.
    pub(crate) missing: Vec<String>,
    /// How long it took.
    pub(crate) seconds: u64,
    pub(crate) sizes: Vec<Size>,
    pub(crate) cold: Vec<Cold>,
    pub(crate) warm: Vec<Warm>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) instructions: Vec<Instructions>,
    /// Without events.
    pub(crate) gateway: Option<Load>,
    pub(crate) gateway_with_events: Option<Load>,
    /// With events, and an open board.
    pub(crate) gateway_with_board: Option<Load>,
}

impl Results {
    pub(crate) fn new(machine: Machine, missing: Vec<String>, shares: bool) -> Self {
        Self {
            machine,
            shares,
            missing,
            seconds: 0,
            sizes: Vec::new(),
            cold: Vec::new(),
            warm: Vec::new(),
            costs: Vec::new(),
            instructions: Vec::new(),
            gateway: None,
            gateway_with_events: None,
            gateway_with_board: None,
        }
    }

    pub(crate) fn cold(&self, subject: &str, share: &str) -> Option<&Cold> {
        self.cold.iter().find(|cold| cold.subject == subject && cold.share == share)
    }

    pub(crate) fn first(&self, subject: &str, share: &str) -> Option<f64> {
        Some(self.cold(subject, share)?.first?.median)
    }

    pub(crate) fn after_idle(&self, subject: &str, share: &str) -> Option<f64> {
        Some(self.cold(subject, share)?.after_idle?.median)
    }

    /// Starts are at full speed whatever the share, so all of them count.
    pub(crate) fn init(&self, subject: &str) -> Option<f64> {
        Some(self.cold(subject, &Share::Full.name())?.init?.median)
    }

    /// The median of the warm times without the store's.
    pub(crate) fn own(&self, subject: &str) -> Option<f64> {
        Some(self.warm(subject)?.own?.median)
    }

    pub(crate) fn warm(&self, subject: &str) -> Option<&Warm> {
        self.warm.iter().find(|warm| warm.subject == subject)
    }

    pub(crate) fn cpu(&self, subject: &str) -> Option<f64> {
        Some(self.warm(subject)?.cpu?.median)
    }

    pub(crate) fn latency(&self, subject: &str) -> Option<Spread> {
        self.warm(subject)?.latency
    }

    pub(crate) fn memory(&self, subject: &str) -> Option<f64> {
        Some(self.warm(subject)?.peak_memory_mb)
    }

    pub(crate) fn zip(&self, subject: &str) -> Option<f64> {
        let size = self.sizes.iter().find(|size| size.subject == subject)?;
        Some(size.zipped_bytes as f64 / 1e6)
    }

    pub(crate) fn instructions(&self, subject: &str) -> Option<f64> {
        let counted = self.instructions.iter().find(|counted| counted.subject == subject)?;
        Some(counted.per_callback)
    }

    pub(crate) fn subjects(&self) -> Vec<&str> {
        let functions = FUNCTIONS.iter().map(|(name, ..)| *name);
        let order = functions.chain(NATIVE_PEERS).chain([PYTHON, NODE]);
        let measured = |name: &&str| {
            self.zip(name).or_else(|| self.cpu(name)).or_else(|| self.init(name)).is_some()
        };
        order.filter(measured).collect()
    }

    /// The worst of the callback functions.
    pub(crate) fn worst(&self, of: impl Fn(&Self, &str) -> Option<f64>) -> Option<f64> {
        let callbacks = FUNCTIONS.iter().filter(|(_, kind, _)| *kind == Kind::Callback);
        callbacks.filter_map(|(name, ..)| of(self, name)).max_by(f64::total_cmp)
    }
}
