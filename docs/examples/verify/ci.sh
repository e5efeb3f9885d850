#!/bin/sh
# Start the service with a new database, verify it, and stop it. Exits as `itemsapi verify` does:
# 0 all holds, 1 a fault, 2 wrong usage, 3 something is not proved.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-8000}
report=${REPORT:-verify.xml}
folder=$(mktemp -d)
service=
stop() {
    if [ -n "$service" ]; then
        kill "$service" 2> /dev/null || true
        wait "$service" || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 143' HUP INT TERM # a step that CI cancels stops its service too

export ITEMSAPI_DATA_DIR="$folder" ITEMSAPI_RATE_LIMIT=off
VERIFY_PASSWORD=$(openssl rand -base64 24)
VERIFY_OTHER_PASSWORD=$(openssl rand -base64 24)
export VERIFY_PASSWORD VERIFY_OTHER_PASSWORD

itemsapi db upgrade
echo "$VERIFY_PASSWORD" | itemsapi users add ada --role admin --password-stdin
echo "$VERIFY_OTHER_PASSWORD" | itemsapi users add eve --role admin --password-stdin
itemsapi serve --port "$port" > "$folder/log" 2>&1 &
service=$!
for _ in $(seq 60); do
    curl --fail --silent --max-time 5 --output /dev/null "http://localhost:$port/health/ready" && break
    kill -0 "$service" 2> /dev/null || { cat "$folder/log" >&2; exit 2; }
    sleep 1
done

itemsapi verify "http://localhost:$port/openapi.json" --config "$here/verify.toml" \
    --login ada --other eve --junit "$report"
