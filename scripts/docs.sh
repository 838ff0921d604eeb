#!/usr/bin/env bash
# Build the site of the guides, the commands and the Python API: site/index.html, to be read from the disk or by any web server.
#
#   scripts/docs.sh [FOLDER]       where it goes; default site
#
# The first time this makes .venv-docs, which takes a minute or two. A link that leads nowhere ends it with an error.
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
site=$(realpath -m "${1:-$checkout/site}")
"$checkout/scripts/setup_env.sh" "$checkout/.venv-docs" docs,sklearn
"$checkout/.venv-docs/bin/python" -m sphinx --fail-on-warning --keep-going -q -b html \
    -c "$checkout/docs/site" -d "$checkout/.venv-docs/doctrees" "$checkout" "$site"
ln -sf docs/index.html "$site/index.html"
echo "$site/index.html"
