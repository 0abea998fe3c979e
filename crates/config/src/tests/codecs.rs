//! Formats and codecs: those of network servers, and those in files.

use super::*;

#[test]
fn a_network_servers_messages_name_their_devices_themselves() {
    finds(
        "[adapters.mqtt.lns]\nurl = \"mqtt://localhost\"\ntopics = [{ filter = \"v3/+/devices/+/up\", format = \"ttn\" }, \
         { filter = \"application/#\", format = \"chirpstack\" }]\n",
        &[],
    );
}

#[test]
fn a_codecs_file_is_a_devices_and_no_format() {
    finds(
        "[adapters.mqtt.floor]\nurl = \"mqtt://localhost\"\ntopics = [{ filter = \"a/{device}\", format = \"a.js\" }]\n",
        &[
            "gateway.toml:3:36: error: adapters.mqtt.floor.topics[0].format: is a codec's file; name it as the `codec` of the [devices.*] tables that need it",
        ],
    );
}

#[test]
fn reads_codec_files_beside_the_file_and_tells_where_they_are_broken() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("good.js"), "function decodeUplink(i) { return {data: {}} }").unwrap();
    std::fs::write(path("good.toml"), "fields = [{ name = \"t\", type = \"u8\" }]\n").unwrap();
    std::fs::write(path("bad.js"), "function decodeUplink(i) {\n  return {;\n}\n").unwrap();
    std::fs::write(
        path("bad.toml"),
        "fields = [\n  { name = \"t\", type = \"u9\" },\n  { nam = \"t\" },\n]\n",
    )
    .unwrap();
    let device = |name: &str, codec: &str| format!("[devices.{name}]\ncodec = \"{codec}\"\n");
    let file = directory.path().join("gateway.toml");

    let good = device("a", "good.js") + &device("b", "good.toml") + &device("c", &path("good.js"));
    let config = load_at(&file, &good, &[]).unwrap().config;
    assert_eq!(config.devices["a"].codec.as_ref(), Some(&path("good.js")));
    assert_eq!(config.devices["a"].codec, config.devices["c"].codec);

    let bad =
        device("a", "bad.js") + &device("b", "bad.toml") + &device("c", "none.js") + &device("d", "bad.js");
    let Err(ConfigError::Invalid { findings }) = load_at(&file, &bad, &[]) else { panic!("no error") };
    let found = findings.to_string().replace(&format!("{}/", directory.path().display()), "");
    let starts = [
        "gateway.toml:2:1: error: devices.a.codec: bad.js:2:",
        "gateway.toml:4:1: error: devices.b.codec: bad.toml:2:",
        "gateway.toml:4:1: error: devices.b.codec: bad.toml:3:5: fields[1].nam: unknown key",
        "gateway.toml:6:1: error: devices.c.codec: cannot read none.js: No such file",
    ];
    for start in starts {
        assert_eq!(found.matches(start).count(), 1, "{start} in\n{found}");
    }
    assert!(!found.contains("devices.d"), "the same file's mistakes are reported once\n{found}");
}
