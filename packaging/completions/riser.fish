# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_riser_global_optspecs
    string join \n h/help V/version
end

function __fish_riser_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_riser_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_riser_using_subcommand
    set -l cmd (__fish_riser_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c riser -n "__fish_riser_needs_command" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_needs_command" -s V -l version -d 'Print version'
complete -c riser -n "__fish_riser_needs_command" -f -a "run" -d 'Run the gateway until SIGTERM or SIGINT'
complete -c riser -n "__fish_riser_needs_command" -f -a "check" -d 'Read the configuration and print every problem at once'
complete -c riser -n "__fish_riser_needs_command" -f -a "demo" -d 'Show a whole simulated building in one process'
complete -c riser -n "__fish_riser_needs_command" -f -a "tail" -d 'Follow a running gateway'
complete -c riser -n "__fish_riser_needs_command" -f -a "decode" -d 'Put payloads through a codec'
complete -c riser -n "__fish_riser_needs_command" -f -a "replay" -d 'Put recorded readings through windows, detectors and alerts'
complete -c riser -n "__fish_riser_needs_command" -f -a "detect" -d 'Put one series through the anomaly model'
complete -c riser -n "__fish_riser_needs_command" -f -a "train" -d 'Fit the model of each device as a whole to its history, and store it'
complete -c riser -n "__fish_riser_needs_command" -f -a "export" -d 'Write what the local history has as CSV or Parquet'
complete -c riser -n "__fish_riser_needs_command" -f -a "audit" -d 'Show where every reading went; exit 1 where one is missing'
complete -c riser -n "__fish_riser_needs_command" -f -a "sink" -d 'Send records to a sink again, or forget a sink that is gone'
complete -c riser -n "__fish_riser_needs_command" -f -a "acknowledge" -d 'Take note of a device\'s anomalies, so that they are not reported again; without DEVICE, list what is raised'
complete -c riser -n "__fish_riser_needs_command" -f -a "firmware" -d 'List the nodes of our own firmware, and which version each runs'
complete -c riser -n "__fish_riser_needs_command" -f -a "battery" -d 'How many years a battery lasts, by currents and shares of time or for a node of our firmware'
complete -c riser -n "__fish_riser_needs_command" -f -a "ble" -d 'What Bluetooth sensors and beacons say'
complete -c riser -n "__fish_riser_needs_command" -f -a "simulate" -d 'Send real protocol traffic at a gateway, or write weeks of a building as a recording'
complete -c riser -n "__fish_riser_needs_command" -f -a "http" -d 'Open the web page to the network, or make its certificate'
complete -c riser -n "__fish_riser_needs_command" -f -a "config" -d 'Print the commented example, the reference or the JSON Schema of the configuration'
complete -c riser -n "__fish_riser_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand run" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand run" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand run" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand check" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand check" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand check" -l no-environment -d 'Leave the environment (RISER__…) out'
complete -c riser -n "__fish_riser_using_subcommand check" -l deny-warnings -d 'Exit 78 for warnings too'
complete -c riser -n "__fish_riser_using_subcommand check" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand demo" -l speed -d 'How many times faster the sensors send' -r
complete -c riser -n "__fish_riser_using_subcommand demo" -l for -d 'Stop after this long' -r
complete -c riser -n "__fish_riser_using_subcommand demo" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand tail" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand tail" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand tail" -l device -d 'Only devices whose name matches' -r
complete -c riser -n "__fish_riser_using_subcommand tail" -l json -d 'One JSON object a line'
complete -c riser -n "__fish_riser_using_subcommand tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c riser -n "__fish_riser_using_subcommand decode" -l codec -d 'The codec\'s name, or its file (.js or .toml)' -r
complete -c riser -n "__fish_riser_using_subcommand decode" -l port -l fport -d 'LoRaWAN FPort' -r
complete -c riser -n "__fish_riser_using_subcommand decode" -l key -d 'The key of a sealed node frame, in hexadecimal' -r
complete -c riser -n "__fish_riser_using_subcommand decode" -l time -d 'When it arrived, RFC 3339; default: now' -r
complete -c riser -n "__fish_riser_using_subcommand decode" -l topic -d 'The MQTT topic it came on' -r
complete -c riser -n "__fish_riser_using_subcommand decode" -l batch -d 'JSON lines from stdin to stdout'
complete -c riser -n "__fish_riser_using_subcommand decode" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand replay" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand replay" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand replay" -l json -d 'One JSON object a line'
complete -c riser -n "__fish_riser_using_subcommand replay" -l alerts -d 'Leave the aggregates out'
complete -c riser -n "__fish_riser_using_subcommand replay" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand detect" -l column -d 'The column to judge; else `value`, else the only one with numbers' -r
complete -c riser -n "__fish_riser_using_subcommand detect" -l output -d 'Where to write, whole or not at all; else stdout' -r -F
complete -c riser -n "__fish_riser_using_subcommand detect" -l trial -d 'Readings to learn on before it may speak' -r
complete -c riser -n "__fish_riser_using_subcommand detect" -l length -d 'How many rows there will be, where you know: it then learns on 15 % of them, at most 750; --trial wins' -r
complete -c riser -n "__fish_riser_using_subcommand detect" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand detect" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand detect" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand train" -l device -d 'Only this device' -r
complete -c riser -n "__fish_riser_using_subcommand train" -l history -d 'A recorded history instead of the gateway\'s own' -r -F
complete -c riser -n "__fish_riser_using_subcommand train" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand train" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand train" -l json -d 'One JSON object a device'
complete -c riser -n "__fish_riser_using_subcommand train" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand export" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand export" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand export" -l from -d 'The first instant: RFC 3339, a date (midnight in gateway.timezone), or an age such as -7d' -r
complete -c riser -n "__fish_riser_using_subcommand export" -l to -d 'The first instant after it, written as --from; default: now' -r
complete -c riser -n "__fish_riser_using_subcommand export" -l device -d 'Only devices whose name matches' -r
complete -c riser -n "__fish_riser_using_subcommand export" -l format -d 'How it is written' -r -f -a "csv\t''
parquet\t''"
complete -c riser -n "__fish_riser_using_subcommand export" -l output -d 'The file to write; default: stdout, for CSV' -r -F
complete -c riser -n "__fish_riser_using_subcommand export" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand audit" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand audit" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand audit" -l json -d 'One JSON object'
complete -c riser -n "__fish_riser_using_subcommand audit" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand sink; and not __fish_seen_subcommand_from rewind forget help" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand sink; and not __fish_seen_subcommand_from rewind forget help" -f -a "rewind" -d 'Send again what a sink has had, as far as the store still has it'
complete -c riser -n "__fish_riser_using_subcommand sink; and not __fish_seen_subcommand_from rewind forget help" -f -a "forget" -d 'Drop what is queued for a sink that is no longer in the configuration, and its counters'
complete -c riser -n "__fish_riser_using_subcommand sink; and not __fish_seen_subcommand_from rewind forget help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from rewind" -l to -d 'What was stored at this time or later' -r
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from rewind" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from rewind" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from rewind" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from forget" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from forget" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from help" -f -a "rewind" -d 'Send again what a sink has had, as far as the store still has it'
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Drop what is queued for a sink that is no longer in the configuration, and its counters'
complete -c riser -n "__fish_riser_using_subcommand sink; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand acknowledge" -l for -d 'How long the same thing is not raised again' -r
complete -c riser -n "__fish_riser_using_subcommand acknowledge" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand acknowledge" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand acknowledge" -l json -d 'One JSON object a line'
complete -c riser -n "__fish_riser_using_subcommand acknowledge" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand firmware" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand firmware" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand firmware" -l json -d 'One JSON object a line'
complete -c riser -n "__fish_riser_using_subcommand firmware" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand battery" -l capacity -d 'Of the battery, in mAh or Ah' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l state -d 'A state: its current and its share of time; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l node -d 'A node of our firmware instead of states: an STM32WL, an nRF52840 or a Pico W' -r -f -a "lorawan\t'STM32WL: LoRaWAN at 14 dBm'
ble\t'nRF52840: BLE advertisements at 0 dBm'
wifi\t'Pico W: Wi-Fi and MQTT'"
complete -c riser -n "__fish_riser_using_subcommand battery" -l every -d 'How often it reports' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l payload -d 'Bytes of a report\'s payload; of an advertisement\'s data with ble' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l sf -d 'LoRaWAN\'s spreading factor, 7 to 12' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l events -d 'How often BLE repeats a report' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l self-discharge -d 'What the battery loses by itself a year' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l temperature -d 'Where the battery is, in °C; cold takes capacity, heat raises self-discharge' -r
complete -c riser -n "__fish_riser_using_subcommand battery" -l json -d 'One JSON object'
complete -c riser -n "__fish_riser_using_subcommand battery" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c riser -n "__fish_riser_using_subcommand ble; and not __fish_seen_subcommand_from scan help" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand ble; and not __fish_seen_subcommand_from scan help" -f -a "scan" -d 'List the sensors and beacons in the air with their newest values, the nearest first'
complete -c riser -n "__fish_riser_using_subcommand ble; and not __fish_seen_subcommand_from scan help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -l adapter -d 'The adapter: its name or its address. Default: that of the configuration\'s first `[adapters.ble.*]`, else hci0' -r
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -l for -d 'How long to listen' -r
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -l json -d 'One JSON object a line'
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from scan" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from help" -f -a "scan" -d 'List the sensors and beacons in the air with their newest values, the nearest first'
complete -c riser -n "__fish_riser_using_subcommand ble; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand simulate" -l devices -d 'How many devices [default: 10, or 25 with --days]' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l seed -d 'Other readings for other seeds' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l target -d 'Send to HOST:PORT, or a URL: mqtt://, mqtts://, ws://, wss://, coap://, coaps://, udp:// (lorawan)' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l protocol -d 'What to speak' -r -f -a "mqtt\t''
coap\t'UDP in the clear'
coaps\t'DTLS with a pre-shared key'
lorawan\t'Nodes behind Semtech UDP packet forwarders; they join, with keys made of --seed'"
complete -c riser -n "__fish_riser_using_subcommand simulate" -l rate -d 'Messages a second, of all devices together' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l for -d 'Stop after this long; else at Ctrl-C' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l username -d 'User name at the broker (mqtt)' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l password-file -d 'A file with the password (mqtt)' -r -F
complete -c riser -n "__fish_riser_using_subcommand simulate" -l ca-file -d 'Certificates to trust instead of the machine\'s (mqtt)' -r -F
complete -c riser -n "__fish_riser_using_subcommand simulate" -l psk-identity -d 'DTLS identity; with {device} in it each device has its own (coaps)' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l psk-file -d 'A file with the key of every identity, without a last newline, or hex:… (coaps)' -r -F
complete -c riser -n "__fish_riser_using_subcommand simulate" -l region -d 'EU868, US915, AU915, AS923 or IN865 [default: EU868] (lorawan)' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l days -d 'Write so many days of a building to stdout, as JSON lines for `riser replay`' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l every -d 'From one reading of a device to the next' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l from -d 'The first day, or time; the season follows it' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l zone -d 'Only the devices of this zone; they show what they would show among all' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l fault -d 'KIND[@DEVICE[/METRIC]][+START], after 8 days where no start is given; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand simulate" -l mixed -d 'Devices of several kinds and formats, not only climate sensors'
complete -c riser -n "__fish_riser_using_subcommand simulate" -l abp -d 'Devices have their sessions from the start instead of joining (lorawan)'
complete -c riser -n "__fish_riser_using_subcommand simulate" -l confirmed -d 'Each frame is acknowledged to its device, else sent again (lorawan)'
complete -c riser -n "__fish_riser_using_subcommand simulate" -l print-config -d 'Write the devices\' [devices.*], with their keys, for gateway.toml; send nothing (lorawan)'
complete -c riser -n "__fish_riser_using_subcommand simulate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c riser -n "__fish_riser_using_subcommand http; and not __fish_seen_subcommand_from enable certificate help" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand http; and not __fish_seen_subcommand_from enable certificate help" -f -a "enable" -d 'Open the page to the network: with a password, a certificate, and the keys of [http]'
complete -c riser -n "__fish_riser_using_subcommand http; and not __fish_seen_subcommand_from enable certificate help" -f -a "certificate" -d 'Make a certificate of our own for the page'
complete -c riser -n "__fish_riser_using_subcommand http; and not __fish_seen_subcommand_from enable certificate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from enable" -l config -d 'The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml' -r -F
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from enable" -l set -d 'One key of it, over file and environment; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from enable" -l listen -d 'Address and port' -r
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from enable" -l new-password -d 'Make a new password where there is one already'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from certificate" -l name -d 'A further name or address that it is for; may be given again' -r
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from certificate" -l output -d 'The folder for http.pem and http.key' -r -F
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from certificate" -l force -d 'Replace files that are there'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from certificate" -s h -l help -d 'Print help'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Open the page to the network: with a password, a certificate, and the keys of [http]'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from help" -f -a "certificate" -d 'Make a certificate of our own for the page'
complete -c riser -n "__fish_riser_using_subcommand http; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "run" -d 'Run the gateway until SIGTERM or SIGINT'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "check" -d 'Read the configuration and print every problem at once'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "demo" -d 'Show a whole simulated building in one process'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "tail" -d 'Follow a running gateway'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "decode" -d 'Put payloads through a codec'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "replay" -d 'Put recorded readings through windows, detectors and alerts'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "detect" -d 'Put one series through the anomaly model'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "train" -d 'Fit the model of each device as a whole to its history, and store it'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "export" -d 'Write what the local history has as CSV or Parquet'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "audit" -d 'Show where every reading went; exit 1 where one is missing'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "sink" -d 'Send records to a sink again, or forget a sink that is gone'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "acknowledge" -d 'Take note of a device\'s anomalies, so that they are not reported again; without DEVICE, list what is raised'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "firmware" -d 'List the nodes of our own firmware, and which version each runs'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "battery" -d 'How many years a battery lasts, by currents and shares of time or for a node of our firmware'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "ble" -d 'What Bluetooth sensors and beacons say'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "simulate" -d 'Send real protocol traffic at a gateway, or write weeks of a building as a recording'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "http" -d 'Open the web page to the network, or make its certificate'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "config" -d 'Print the commented example, the reference or the JSON Schema of the configuration'
complete -c riser -n "__fish_riser_using_subcommand help; and not __fish_seen_subcommand_from run check demo tail decode replay detect train export audit sink acknowledge firmware battery ble simulate http config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c riser -n "__fish_riser_using_subcommand help; and __fish_seen_subcommand_from sink" -f -a "rewind" -d 'Send again what a sink has had, as far as the store still has it'
complete -c riser -n "__fish_riser_using_subcommand help; and __fish_seen_subcommand_from sink" -f -a "forget" -d 'Drop what is queued for a sink that is no longer in the configuration, and its counters'
complete -c riser -n "__fish_riser_using_subcommand help; and __fish_seen_subcommand_from ble" -f -a "scan" -d 'List the sensors and beacons in the air with their newest values, the nearest first'
complete -c riser -n "__fish_riser_using_subcommand help; and __fish_seen_subcommand_from http" -f -a "enable" -d 'Open the page to the network: with a password, a certificate, and the keys of [http]'
complete -c riser -n "__fish_riser_using_subcommand help; and __fish_seen_subcommand_from http" -f -a "certificate" -d 'Make a certificate of our own for the page'
