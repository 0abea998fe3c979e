use super::*;
use crate::data_rate::DataRate;
use crate::reason::Reason;

const RXPK: &str = r#"{"tmst":3512348611,"chan":2,"rfch":0,"freq":866.349812,"stat":1,"modu":"LORA","datr":"SF7BW125",
    "codr":"4/6","rssi":-35,"lsnr":5.1,"size":32,"data":"-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84"}"#;

fn one(json: &str) -> Result<Rxpk, Reason> {
    push(format!(r#"{{"rxpk":[{json}]}}"#).as_bytes()).unwrap().frames.remove(0)
}

/// A frame of four bytes with these members instead of the usual ones.
fn changed(members: &[(&str, serde_json::Value)]) -> Result<Rxpk, Reason> {
    let mut rxpk = serde_json::json!({"tmst": 1, "freq": 868.1, "stat": 1, "modu": "LORA", "datr": "SF7BW125",
        "codr": "4/5", "rssi": -35, "lsnr": 5.1, "size": 4, "data": "AQIDBA=="});
    for (name, value) in members {
        rxpk[*name] = value.clone();
    }
    one(&rxpk.to_string())
}

#[test]
fn a_head_is_read_and_confirmed_with_its_own_token_and_version() {
    let datagram = [1, 0x12, 0x34, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, 1, b'{'];
    let (head, json) = Head::decode(&datagram).unwrap();
    assert_eq!(
        (head.kind, head.gateway.to_string().as_str(), json),
        (Kind::PushData, "aa555a0000000001", &b"{"[..])
    );
    assert_eq!(head.acknowledgement(), Some([1, 0x12, 0x34, 1]));
    let pull = [&[2, 0, 1, 2][..], &datagram[4..12]].concat();
    assert_eq!(Head::decode(&pull).unwrap().0.acknowledgement(), Some([2, 0, 1, 4]));
    let tx_ack = [&[2, 0, 1, 5][..], &datagram[4..12]].concat();
    assert_eq!(Head::decode(&tx_ack).unwrap().0.acknowledgement(), None);
}

#[test]
fn what_is_no_datagram_of_a_forwarder_is_told_apart() {
    let rest = [0; 12];
    let decode = |head: [u8; 4], rest: &[u8]| Head::decode(&[&head[..], rest].concat()).unwrap_err();
    assert_eq!(decode([9, 0, 0, 0], &rest), Malformed::Version);
    assert_eq!(decode([2, 0, 0, 3], &rest), Malformed::Kind);
    assert_eq!(decode([2, 0, 0, 0], &rest[..7]), Malformed::Short);
    assert_eq!(Head::decode(&[2, 0]), Err(Malformed::Short));
}

#[test]
fn no_three_bytes_are_a_datagram() {
    for number in 0..1 << 24 {
        let [_, bytes @ ..] = u32::to_be_bytes(number);
        assert_eq!(Head::decode(&bytes), Err(Malformed::Short));
    }
}

#[test]
fn base64_is_read_with_padding_and_without() {
    for data in ["AQIDBA==", "AQIDBA=", "AQIDBA"] {
        assert_eq!(changed(&[("data", data.into())]).unwrap().data, [1, 2, 3, 4]);
    }
    assert_eq!(changed(&[("data", "AQ!DBA==".into())]), Err(Reason::Base64));
    // The protocol's own example is in another alphabet.
    assert_eq!(one(RXPK), Err(Reason::Base64));
    assert!(one(&RXPK.replace('-', "+").replace("rssi\":+", "rssi\":-")).is_ok());
}

#[test]
fn sizes_that_are_not_those_of_the_data_are_refused() {
    assert_eq!(changed(&[("size", 5.into())]), Err(Reason::Size));
    let long = "A".repeat(2_000);
    assert_eq!(changed(&[("size", 1_500.into()), ("data", long.into())]), Err(Reason::FrameLong));
}

#[test]
fn checksums_are_right_missing_or_wrong() {
    let crc = |stat: i32| changed(&[("stat", stat.into())]).unwrap().crc;
    assert_eq!([crc(1), crc(0), crc(-1)], [Crc::Ok, Crc::Missing, Crc::Failed]);
}

#[test]
fn data_rates_are_text_for_lora_and_a_number_for_fsk() {
    let fsk = changed(&[("modu", "FSK".into()), ("datr", 50_000.into())]).unwrap();
    assert_eq!(fsk.data_rate, DataRate::Fsk { bit_rate: 50_000 });
    for (modulation, rate) in [("LORA", "M0CW137"), ("FSK", "fast"), ("LR-FHSS", "SF7BW125")] {
        assert_eq!(changed(&[("modu", modulation.into()), ("datr", rate.into())]), Err(Reason::DataRate));
    }
}

#[test]
fn numbers_come_as_forwarders_like() {
    let frame =
        changed(&[("tmst", 4_294_967_295_u32.into()), ("rssi", (-35.5).into()), ("lsnr", 7.into())]).unwrap();
    assert_eq!((frame.tmst, frame.rssi, frame.snr), (u32::MAX, -35.5, Some(7.0)));
    let frame =
        changed(&[("lsnr", serde_json::Value::Null), ("foff", 3.into()), ("jver", 1.into())]).unwrap();
    assert_eq!(frame.snr, None);
    for (name, value) in [("tmst", -1.0), ("tmst", 4_294_967_296.0), ("freq", 1e300), ("freq", -1.0)] {
        assert_eq!(changed(&[(name, value.into())]), Err(Reason::Rxpk), "{name} {value}");
    }
    assert_eq!(changed(&[("rssi", "loud".into())]), Err(Reason::Rxpk));
}

#[test]
fn each_antenna_of_a_concentrator_is_read() {
    let rsig = serde_json::json!([{"ant": 0, "chan": 7, "rssic": -110, "lsnr": 3.2, "etime": "x", "ftime": 20},
        {"ant": 1, "rssic": -100, "lsnr": 5.0}]);
    let frame = changed(&[
        ("rsig", rsig.clone()),
        ("rssi", serde_json::Value::Null),
        ("lsnr", serde_json::Value::Null),
    ]);
    let frame = frame.unwrap();
    assert_eq!((frame.antennas.len(), frame.rssi, frame.snr), (2, -100.0, Some(5.0)));
    assert_eq!(frame.antennas[0].fine_time, Some(20));
    let frame = changed(&[("rsig", rsig)]).unwrap();
    assert_eq!(frame.rssi, -35.0, "a common value is the forwarder's own choice");
    assert!(changed(&[("rsig", "odd".into())]).unwrap().antennas.is_empty());
}

#[test]
fn a_bad_frame_costs_no_other_and_bad_figures_no_frame() {
    let json = format!(r#"{{"rxpk":[7,{},{{}}],"stat":{{"lati":"north"}}}}"#, RXPK.replace("+4", "4"));
    let push = push(json.as_bytes()).unwrap();
    assert_eq!(push.frames.len(), 3);
    assert!(push.stat.is_none());
    assert_eq!(push.frames[2], Err(Reason::Rxpk));
}

#[test]
fn a_datagram_has_an_end() {
    let frames = push(format!(r#"{{"rxpk":[{}7]}}"#, "7,".repeat(30_000)).as_bytes()).unwrap().frames;
    assert_eq!((frames.len(), frames.last()), (256, Some(&Err(Reason::FramesMany))));
}

#[test]
fn figures_and_padding_are_read() {
    let json =
        br#"{"stat":{"time":"2014-01-12 08:59:28 GMT","lati":46.24,"long":3.2523,"alti":145,"rxnb":2}}"#;
    let stat = push(&[&json[..], b"\0\0\n"].concat()).unwrap().stat.unwrap();
    assert_eq!((stat.latitude, stat.received, stat.sent), (Some(46.24), Some(2.0), None));
    assert!(push(b"").unwrap().frames.is_empty());
    assert!(push(b"{\"rxpk\":[{\"tmst\":1").is_err());
}

#[test]
fn a_frame_to_send_is_written_as_forwarders_read_it() {
    let data = [1, 2, 3, 4];
    let mut txpk = Txpk {
        when: When::Tmst(u32::MAX),
        frequency: 869_525_000,
        power: 27,
        data_rate: DataRate::lora(12, 125),
        data: &data,
    };
    let datagram = pull_resp(Version::Two, 0x1234, &txpk);
    assert_eq!(datagram[..4], [2, 0x12, 0x34, 3]);
    let json: serde_json::Value = serde_json::from_slice(&datagram[4..]).unwrap();
    let expected = serde_json::json!({"txpk": {"tmst": 4_294_967_295_u32, "freq": 869.525, "rfch": 0, "powe": 27,
        "modu": "LORA", "datr": "SF12BW125", "codr": "4/5", "ipol": true, "size": 4, "data": "AQIDBA==", "ncrc": true}});
    assert_eq!(json, expected);
    txpk.when = When::Now;
    txpk.data_rate = DataRate::Fsk { bit_rate: 50_000 };
    let json: serde_json::Value = serde_json::from_slice(&txpk.to_json()).unwrap();
    assert_eq!((&json["txpk"]["imme"], &json["txpk"]["datr"]), (&true.into(), &50_000.into()));
    assert_eq!(json["txpk"]["fdev"], 25_000);
}

#[test]
fn what_forwarders_say_of_a_downlink_is_understood() {
    let ack = |error: &str| tx_ack(format!(r#"{{"txpk_ack":{{"error":"{error}"}}}}"#).as_bytes());
    assert_eq!(ack("NONE"), Ok(()));
    assert_eq!(ack("TOO_LATE"), Err(TxError::TooLate));
    assert_eq!(ack("COLLISION_PACKET"), Err(TxError::CollisionPacket));
    assert_eq!(ack("TX_FREQ"), Err(TxError::TxFreq));
    assert_eq!(ack("SOMETHING"), Err(TxError::Other));
    assert_eq!(tx_ack(b""), Ok(()));
    assert_eq!(tx_ack(br#"{"txpk_ack":{"warn":"TX_POWER","value":20}}"#), Ok(()));
}
