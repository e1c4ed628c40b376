# For scripts that start servers, to be sourced: they run from the root of the project, and whatever they start ends with
# them. If they fail, the ends of the logs are shown.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rollcall=${CARGO_TARGET_DIR:-$PWD/target}/debug/rollcall
scratch=$(mktemp -d)
pids=()
finish() {
    local status=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    [ $status -eq 0 ] || tail -n 40 "$scratch"/*.log 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

start() { # name, command...
    (exec "${@:2}") >"$scratch/$1.log" 2>&1 &
    pids+=($!)
}

wait_for() { # what, command...
    for _ in $(seq 120); do
        if "${@:2}" 2>/dev/null; then return; fi
        sleep 0.5
    done
    echo "there is no $1" >&2
    exit 1
}

# Starts moto, which plays the services of AWS over HTTP, and sets its address. Takes .ci/venv as it is.
start_moto() { # the variable of its address
    start moto .ci/venv/bin/python .ci/tools/moto_server.py
    wait_for moto grep -q "Running on" "$scratch/moto.log"
    printf -v "$1" %s "$(sed -n 's|.*Running on \(http://127.0.0.1:[0-9]*\).*|\1|p' "$scratch/moto.log")"
}

listens() { # port
    (exec 3<>"/dev/tcp/127.0.0.1/$1")
}

hex() { # bytes
    od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}
