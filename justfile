# Conveniences; what they run works without just.

# fast tests, then lint
test:
    cargo test --locked
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# whatever is pressed and whenever it is killed, on the lab and on real servers: hours
soak RUNS="2000" KILLS="1000" REAL="20": (impatient RUNS) (killed KILLS) (killed-real REAL)

# runs of an impatient operator with faults at random: long
impatient RUNS="2000":
    HOLDPOINT_RUNS={{RUNS}} cargo test --locked --test house impatient -- --nocapture

# how long each rehearsal of the tests takes, in the test profile
figures:
    cargo test --locked --test house how_long_rehearsals_take -- --ignored --nocapture

# as many kills at random moments, each run resumed to its end: long
killed KILLS="1000":
    HOLDPOINT_KILLS={{KILLS}} cargo test --locked --test house kills -- --nocapture

# the same on real servers, compared with their own records
killed-real KILLS="20":
    HOLDPOINT_KILLS={{KILLS}} tests/real/run kills_on_real --ignored

# on real servers: what was done is undone, and three voters that moved go back
back-real:
    tests/real/run what_was_done_is_undone --ignored

# as many places of a whole run's journal cut and flipped: long
damaged PLACES="10000":
    HOLDPOINT_PLACES={{PLACES}} cargo test --locked --test house whole_runs_journal -- --nocapture

# a soak of a day, six hours of which nobody looked
soaked:
    cargo test --locked --test house a_day_of_soak -- --ignored

# the tests on real servers
real *ARGS:
    tests/real/run {{ARGS}}

# the cockpit on real servers
try:
    tests/real/try

# files that are generated from code
generate:
    cargo run --quiet -- schema runbook > assets/runbook.schema.json
    cargo run --quiet -- schema site > assets/site.schema.json
    cargo run --quiet -- schema world > docs/world.md
    cargo run --quiet -- schema life > docs/life.md
