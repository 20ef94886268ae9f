# Sourced from the project's root: the clients whose lines the README shows, R with httr2 and Python
# with requests. Where they can't be installed their tests are skipped, and say so.
requests='requests==2.32.5'

apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

if ! Rscript -e 'library(httr2)' >/dev/null 2>&1; then
  echo "Installing R with httr2" >&2
  apt_install r-base-core r-cran-httr2 || echo "Please install R with httr2: its tests are skipped." >&2
fi

if [ ! -e .tools/python/.installed ]; then
  echo "Installing Python's requests into .tools/" >&2
  { python3 -m venv .tools/python || { apt_install python3-venv && python3 -m venv .tools/python; }; } &&
    .tools/python/bin/pip install --quiet "$requests" >&2 && touch .tools/python/.installed ||
    echo "Please install Python 3 with venv: its tests are skipped." >&2
fi
PATH="$PWD/.tools/python/bin:$PATH"
export PATH
