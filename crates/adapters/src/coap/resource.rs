//! What a path means.

/// A resource of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// `/.well-known/core`
    Core,
    /// `/sensors/{device}` or `/sensors/{device}/{metric}`
    Sensor { device: &'a str, metric: Option<&'a str> },
}

impl<'a> Resource<'a> {
    /// `None` where there is no such path. An empty segment at the end does not count.
    pub(super) fn of(path: &'a [String]) -> Option<Self> {
        let path = path.strip_suffix(&[String::new()]).unwrap_or(path);
        let sensor = |device: &'a String, metric: Option<&'a String>| {
            let named = !device.is_empty() && metric.is_none_or(|metric| !metric.is_empty());
            named.then_some(Self::Sensor { device, metric: metric.map(String::as_str) })
        };
        match path {
            [first, second] if first == ".well-known" && second == "core" => Some(Self::Core),
            [first, device] if first == "sensors" => sensor(device, None),
            [first, device, metric] if first == "sensors" => sensor(device, Some(metric)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn two_kinds_of_paths_name_a_sensor() {
        let sensor = |device, metric| Some(Resource::Sensor { device, metric });
        assert_eq!(Resource::of(&path(".well-known|core")), Some(Resource::Core));
        assert_eq!(Resource::of(&path("sensors|lounge")), sensor("lounge", None));
        assert_eq!(Resource::of(&path("sensors|lounge|")), sensor("lounge", None));
        assert_eq!(Resource::of(&path("sensors|a/b|co2")), sensor("a/b", Some("co2")));
        for unknown in
            ["", "sensors", "sensors|", "sensors||co2", "sensors|a|b|c", "sensor|a", "a|.well-known|core"]
        {
            assert_eq!(Resource::of(&path(unknown)), None, "{unknown}");
        }
    }
}
