#!/bin/sh
# Fetch the published model on a filter host, as files (rsync). By coop-verdict-models.timer.
#     fetch-models.sh SOURCE FOLDER
# SOURCE: the models folder of the machine that trains, as rsync names it (host:/path, or
# rsync://host/module). FOLDER: [model] folder of this host.
#
# "current" names the model in use. It is fetched first and put in place last, in one step: whatever
# breaks off in between, and whatever is published meanwhile, it names a whole bundle or what it
# named before. The filter looks at it every second, proves the bundle and takes it over.
set -eu
umask 022
source=${1:?usage: fetch-models.sh SOURCE FOLDER} folder=${2:?usage: fetch-models.sh SOURCE FOLDER}

# -O: times of folders change here and there by themselves. Timeouts: a source that has vanished
# must not keep the next turn of the timer waiting.
fetch() {
    timeout 120 rsync --recursive --times --perms -O --timeout=20 "$@"
}

mkdir -p "$folder"
fetch "$source/current" "$folder/.current"
# Bundles, and what goes with them: "history", by which a filter that is started finds the last
# sound one, and receipts.jsonl, by which coop-verdict why knows of corrections.
fetch --exclude=/current --exclude='/.*' "$source/" "$folder/"
sync -f "$folder"
mv "$folder/.current" "$folder/current"
# What was cleared away over there goes here, too; not before, for a bundle in use may be among it.
fetch --delete --exclude=/current --exclude='/.*' "$source/" "$folder/"
