#!/bin/sh
# A backup of the database of compose.yaml, for its owner only, beside that file. It has its name
# only when it is whole. Then those older than two weeks go, and what a failed one left.
set -Ceu
umask 077
cd "$(dirname "$0")/.."
new=$(date -u +%Y-%m-%dT%H%M%SZ).backup
docker compose exec -T database pg_dump -U itemsapi --format=custom itemsapi > "$new.part"
mv -n "$new.part" "$new"
find . -maxdepth 1 \( -name '20??-??-??T??????Z.backup' -o -name '20??-??-??T??????Z.backup.part' \) \
    -mtime +13 -delete
