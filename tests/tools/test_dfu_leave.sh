#!/bin/bash
# :leave ends with the famous error up to 0.4.4 and is clean from 0.4.5 on; either way the flash is
# right and the board starts what was flashed.
. "$(dirname "$0")/lib.sh"

# leave RELEASE: flashes the release's own parts again, the second with :leave.
leave() {
    board=board-$1
    vphoton new "$board" --release "$1"
    vphoton module build -o part1.bin --release "$1" --part part1
    vphoton module build -o part2.bin --release "$1" --part part2
    dfu_ok "$board" -a 0 -d 2b04:d006 -s 0x08020000 -D part1.bin
    run vphoton run -t warp -d "$board" --dfu --events=trace --report report.json -- \
        dfu-util -a 0 -d 2b04:d006 -s 0x08060000:leave -D part2.bin
    expect_line 'File downloaded successfully'
    expect_line 'Submitting leave request...'
    flash_holds "$board" 0x08020000 part1.bin
    flash_holds "$board" 0x08060000 part2.bin
    # The host asked no earlier than the board had told it to.
    [ "$(json report.json 'd["early_polls"]')" = 0 ] || fail "release $1: early polls"
    # After power-on two resets: that of the leave, and that of the system which disarms the watchdog.
    resets=$(json report.json '[r["text"] for r in d["boards"][0]["resets"]["list"]]')
    [ "$resets" = '["power on", "update finished", "watchdog flag cleared"]' ] ||
        fail "release $1: resets after leaving: $resets"
    [ "$(json report.json 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail "release $1 does not run afterwards"
}

# What the host asked last in DFU mode, as the trace tells it.
last_getstatus() {
    grep 'GETSTATUS' trace | tail -n 1
}

for release in 0.4.0 0.4.2 0.4.3 0.4.4; do
    leave $release
    expect_status 74
    expect_line 'dfu-util: Error during download get_status'
    # bStatus OK, 1 ms, dfuMANIFEST: taken by the host, and then nobody is there any more.
    case $(last_getstatus) in
    *'IN DATA 00 01 00 00 07 00 ACK, OUT status stage: no answer (soft-disconnect)') ;;
    *) fail "release $release: the status stage was answered: $(last_getstatus)" ;;
    esac
done

for release in 0.4.5 0.4.9 0.5.2 0.6.0 0.6.3 0.7.0 1.5.0 2.2.0; do
    leave $release
    expect_status 0
    expect_no_text 'Error'
    case $(last_getstatus) in
    # dfuDNLOAD-IDLE; the poll time is a leftover in 0.6.1 to 0.6.4.
    *'IN DATA 00 '??' 00 00 05 00 ACK, OUT status stage ACK') ;;
    *) fail "release $release: the last GETSTATUS: $(last_getstatus)" ;;
    esac
done
