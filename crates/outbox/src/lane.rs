//! Lanes: what kinds of entries there are. Each lane has its own log, so that one can be sent, dropped and deleted without
//! the others.

/// What an entry is. Alerts are sent before aggregates, and dropped after everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    Alerts,
    Aggregates,
    Readings,
}

impl Lane {
    /// The most urgent first.
    pub const ALL: [Lane; 3] = [Lane::Alerts, Lane::Aggregates, Lane::Readings];

    /// The name in configurations and of the lane's directory.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lane::Alerts => "alerts",
            Lane::Aggregates => "aggregates",
            Lane::Readings => "readings",
        }
    }
}

/// One value for each lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    pub alerts: T,
    pub aggregates: T,
    pub readings: T,
}

impl<T> PerLane<T> {
    /// A value made for each lane.
    pub fn from_fn(mut make: impl FnMut(Lane) -> T) -> PerLane<T> {
        PerLane {
            alerts: make(Lane::Alerts),
            aggregates: make(Lane::Aggregates),
            readings: make(Lane::Readings),
        }
    }

    /// The value of a lane.
    pub fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Alerts => &self.alerts,
            Lane::Aggregates => &self.aggregates,
            Lane::Readings => &self.readings,
        }
    }

    /// The value of a lane.
    pub fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Alerts => &mut self.alerts,
            Lane::Aggregates => &mut self.aggregates,
            Lane::Readings => &mut self.readings,
        }
    }

    /// The most urgent lane first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().map(|lane| (lane, self.get(lane)))
    }
}
