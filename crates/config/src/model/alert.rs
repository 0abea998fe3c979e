//! `[alerts.*]` as types.

use std::fmt;
use std::str::FromStr;

use adapters::RawAction;
use gateway_core::Severity;
use gateway_core::settings::HumanDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

/// One rule: one or more of `above`, `below`, `rises_by`, `falls_by`, `equals`, `changes`, `silent_for`, `anomaly`, or `when`
/// alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alert {
    /// Which metric; only `silent_for` (the device as a whole), `anomaly` (any metric) and `when` can do without.
    #[schemars(example = &"temperature")]
    pub metric: Option<String>,
    /// Raise where a value is above this.
    #[schemars(example = 40.0)]
    pub above: Option<f64>,
    /// Raise where a value is below this.
    #[schemars(example = 5.0)]
    pub below: Option<f64>,
    /// Raise where the value rises by this much within `within`.
    #[schemars(example = 3.0)]
    pub rises_by: Option<f64>,
    /// Raise where the value falls by this much within `within`.
    #[schemars(example = 3.0)]
    pub falls_by: Option<f64>,
    /// The time over which `rises_by` and `falls_by` look back.
    #[schemars(example = &"10m")]
    pub within: Option<HumanDuration>,
    /// Raise where the value of a state is this: a number, or `true` or `false` (1 and 0).
    #[schemars(example = true)]
    pub equals: Option<StateValue>,
    /// Raise at each change of a state; cleared by the next reading.
    pub changes: bool,
    /// Raise where nothing arrives for this long; `"auto"`: for three times the usual interval of the device, which is
    /// learnt from eight readings or more.
    #[schemars(example = &"15m")]
    pub silent_for: Option<SilentFor>,
    /// Raise where the anomaly model's score is at or above this; scores lie in 0..1.
    #[schemars(range(min = 0, max = 1), example = 0.8)]
    pub anomaly: Option<f64>,
    /// Raise where this holds: an expression over the newest values of the device (`co2`), its newest window
    /// (`avg.co2`, `min.`, `max.`, `std.`, `count.`) and averages over its zone (`zone.co2`, `zone.avg.co2`).
    #[schemars(example = &"co2 > 1000 && occupancy == 1")]
    pub when: Option<String>,
    /// How long the condition must hold before the alert is raised.
    pub r#for: HumanDuration,
    /// Hysteresis: how far the value must come back from the limit before the alert is cleared.
    pub clear_by: f64,
    /// After it was cleared it is not raised again for this long.
    pub cooldown: HumanDuration,
    /// Only in these hours, in `gateway.timezone`; cleared at their end. Several ranges are separated by commas.
    #[schemars(example = &"Mon-Fri 06:00-22:00")]
    pub between: Option<String>,
    /// Tell it again each time this has passed, until it is acknowledged or cleared; at least a minute.
    #[schemars(example = &"1h")]
    pub remind: Option<HumanDuration>,
    /// Make it worse where nobody acknowledges it in time.
    pub escalate: Option<Escalate>,
    /// How bad it is.
    pub severity: Severity,
    /// For which devices: names with `*` and `?`.
    pub devices: Vec<String>,
    /// For which zones: names with `*` and `?`. None given: also devices without a zone.
    #[schemars(example = ["floor-1/*"])]
    pub zones: Vec<String>,
    /// What to send when the alert is raised or cleared.
    pub actions: Vec<Action>,
}

impl Default for Alert {
    fn default() -> Self {
        Self {
            metric: None,
            above: None,
            below: None,
            rises_by: None,
            falls_by: None,
            within: None,
            equals: None,
            changes: false,
            silent_for: None,
            when: None,
            cooldown: HumanDuration::default(),
            between: None,
            remind: None,
            escalate: None,
            anomaly: None,
            r#for: HumanDuration::default(),
            clear_by: 0.0,
            severity: Severity::default(),
            devices: vec!["*".to_owned()],
            zones: Vec::new(),
            actions: Vec::new(),
        }
    }
}

/// One message that an alert sends into the building when it is raised or cleared, through an adapter. The other keys say where it
/// goes, with the keys of the adapter's kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Through which adapter: its kind and its name, as in `[adapters.<kind>.<name>]`.
    #[schemars(example = example_adapter())]
    pub adapter: String,
    /// When: `"raised"`, `"cleared"` or `"both"`.
    #[serde(default)]
    pub on: On,
    /// For how long it is tried again where it fails, unless a newer action has the same target; `"0s"`: not at all.
    #[serde(default = "default_deadline")]
    pub deadline: HumanDuration,
    /// What, as text. `{device}`, `{zone}`, `{metric}`, `{value}`, `{limit}`, `{state}` and `{time}` stand for what the alert
    /// says; other braces stay as they are.
    #[schemars(example = r#"{"fan_mode":"high"}"#)]
    pub payload: String,
    /// Keys of the adapter's kind.
    #[serde(skip)]
    #[schemars(skip)]
    pub target: Map<String, Json>,
}

fn default_deadline() -> HumanDuration {
    HumanDuration::from_secs(600)
}

fn example_adapter() -> String {
    let first = adapters::kinds::all().first();
    first.map_or_else(String::new, |kind| format!("{}.{}", kind.name(), kind.example().name))
}

impl Action {
    /// As the adapter's kind reads it.
    #[must_use]
    pub fn raw(&self) -> RawAction<'_> {
        RawAction { adapter: &self.adapter, payload: &self.payload, keys: &self.target }
    }
}

/// Who does not acknowledge an alert in time makes it worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Escalate {
    /// How long after it was raised.
    pub after: HumanDuration,
    /// How bad it is then; worse than the rule's.
    pub severity: Severity,
}

impl Default for Escalate {
    fn default() -> Self {
        Self { after: HumanDuration::from_secs(1800), severity: Severity::Critical }
    }
}

/// When an action is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// When the alert is raised.
    #[default]
    Raised,
    /// When it is cleared.
    Cleared,
    /// At both.
    Both,
}

/// How long nothing must arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilentFor {
    /// Three times the usual interval.
    Auto,
    /// So long.
    After(HumanDuration),
}

const AUTO: &str = "auto";

impl fmt::Display for SilentFor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str(AUTO),
            Self::After(duration) => duration.fmt(formatter),
        }
    }
}

impl Serialize for SilentFor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SilentFor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == AUTO {
            return Ok(Self::Auto);
        }
        let duration = HumanDuration::from_str(&text);
        duration.map(Self::After).map_err(|error| D::Error::custom(format!("{error}; or \"auto\"")))
    }
}

impl JsonSchema for SilentFor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SilentFor".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let duration = generator.subschema_for::<HumanDuration>();
        json_schema!({ "anyOf": [duration, { "const": AUTO }] })
    }
}

/// The value of a state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StateValue {
    /// 1 or 0.
    Bool(bool),
    /// As readings have it.
    Number(f64),
}

impl StateValue {
    /// As readings have it.
    #[must_use]
    pub fn number(self) -> f64 {
        match self {
            Self::Bool(value) => f64::from(u8::from(value)),
            Self::Number(value) => value,
        }
    }
}
