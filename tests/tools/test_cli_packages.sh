#!/bin/bash
# Particle's CLIs install as npm has them, and start. The tests cli_* find them there (see CMakeLists.txt).
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"

particle_cli 1.16.0 2.16.0 3.0.0
for version in 1.16.0 2.16.0 3.0.0; do
    run_ok "particle-$version" --version
    expect_line $version
done
