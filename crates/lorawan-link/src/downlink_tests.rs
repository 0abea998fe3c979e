use super::*;

fn queue(payloads: &[usize]) -> Queue {
    let mut queue = Queue::new(4);
    for (number, length) in (1..).zip(payloads) {
        let payload = vec![7; *length];
        queue.push(Queued { id: DownlinkId(number), f_port: 3, payload, confirmed: number == 1 }).unwrap();
    }
    queue
}

fn all_owed() -> RequestedAnswer {
    RequestedAnswer {
        ack: true,
        wants_downlink: true,
        adr: true,
        link_check: Some([2, 1, 1]),
        device_time: Some([13, 1, 2, 3, 4, 5]),
    }
}

fn all_wishes() -> OptionalCommands {
    OptionalCommands {
        adr: Some((Choice { data_rate: 5, power: 1 }, [3, 0x51, 0, 0, 0x61])),
        status: Some([6]),
    }
}

#[test]
fn all_that_a_device_can_be_told_fits_into_one_frame() {
    let composed = compose(&all_owed(), all_wishes(), &queue(&[20]), 51).unwrap();
    assert_eq!(composed.frame.f_opts, [2, 1, 1, 13, 1, 2, 3, 4, 5, 3, 0x51, 0, 0, 0x61, 6]);
    assert!(composed.takes_item && composed.asks_status && composed.adr.is_some());
    assert!(composed.frame.ack && composed.frame.confirmed && !composed.frame.pending);
}

#[test]
fn answers_come_before_the_payload_and_the_payload_before_wishes() {
    let composed = compose(&all_owed(), all_wishes(), &queue(&[40, 1]), 51).unwrap();
    assert_eq!((composed.frame.f_opts.len(), composed.takes_item), (10, true));
    assert_eq!((composed.adr, composed.asks_status, composed.frame.pending), (None, true, true));
    let composed = compose(&all_owed(), all_wishes(), &queue(&[43]), 51).unwrap();
    assert_eq!((composed.frame.f_opts.len(), composed.takes_item, composed.frame.pending), (15, false, true));
}

#[test]
fn nothing_to_say_is_no_frame() {
    let silent = RequestedAnswer { adr: true, ..RequestedAnswer::default() };
    assert_eq!(compose(&silent, OptionalCommands::default(), &queue(&[]), 51), None);
    assert_eq!(compose(&silent, OptionalCommands::default(), &queue(&[60]), 51), None);
    assert!(
        compose(
            &RequestedAnswer { wants_downlink: true, ..silent },
            OptionalCommands::default(),
            &queue(&[]),
            0
        )
        .is_some()
    );
    assert!(
        compose(&RequestedAnswer { ack: true, ..silent }, OptionalCommands::default(), &queue(&[]), 0)
            .is_some()
    );
}

#[test]
fn a_queue_has_an_end() {
    let mut full = queue(&[1, 1, 1, 1]);
    let item = full.front().unwrap().clone();
    assert_eq!(full.push(item), Err(4));
    assert_eq!(full.pop().unwrap().id, DownlinkId(1));
}

fn window(received_at: Instant) -> Window {
    let received_by = [(1, u32::MAX), (2, 5)].map(|(gateway, tmst)| ReceivedBy {
        gateway: Eui::new(gateway),
        tmst,
        frequency: 868_100_000,
        data_rate: DataRate::lora(7, 125),
    });
    let rx = RxParameters { delay: 1, rx1_offset: 2, ..RxParameters::of(Region::Eu868) };
    Window {
        received_by: received_by.to_vec(),
        received_at,
        delay: Duration::from_secs(1),
        rx,
        requested: RequestedAnswer::default(),
    }
}

#[test]
fn windows_are_reckoned_in_each_gateways_own_clock_which_goes_round() {
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
    let now = Instant::now();
    let settings = Settings::new(Region::Eu868);
    let first = window(now).slots(RxWindow::First, &settings, now);
    let expected = [(1, 999_999), (2, 1_000_005)].map(|(gateway, tmst)| DownlinkSlot {
        gateway: Eui::new(gateway),
        when: When::Tmst(tmst),
        frequency: 868_100_000,
        data_rate: 3,
        until: now + Duration::from_millis(800),
    });
    assert_eq!(first, expected);
    let second = window(now).slots(RxWindow::Second, &settings, now);
    assert_eq!(
        (second[0].when, second[0].frequency, second[0].data_rate),
        (When::Tmst(1_999_999), 869_525_000, 0)
    );
}

#[test]
fn a_window_closes_so_early_that_a_forwarder_still_has_time() {
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
    let now = Instant::now();
    let settings = Settings::new(Region::Eu868);
    let slots = |slot, millis| window(now).slots(slot, &settings, now + Duration::from_millis(millis)).len();
    assert_eq!([slots(RxWindow::First, 800), slots(RxWindow::First, 801)], [2, 0]);
    assert_eq!([slots(RxWindow::Second, 1_800), slots(RxWindow::Second, 1_801)], [2, 0]);
}
