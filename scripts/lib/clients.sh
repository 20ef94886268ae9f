# Sourced from the project's root: the clients whose lines the README shows, R with httr2 and Python
# with requests, and NVIDIA's for the Open Inference Protocol. Where they can't be installed their tests
# are skipped, and say so.
packages='requests==2.32.5 tritonclient[http]==2.73.0'

apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

if ! Rscript -e 'library(httr2)' >/dev/null 2>&1; then
  echo "Installing R with httr2" >&2
  apt_install r-base-core r-cran-httr2 || echo "Please install R with httr2: its tests are skipped." >&2
fi

if [ "$(cat .tools/python/.installed 2>/dev/null)" != "$packages" ]; then
  echo "Installing Python's clients into .tools/" >&2
  { python3 -m venv .tools/python || { apt_install python3-venv && python3 -m venv .tools/python; }; } &&
    .tools/python/bin/pip install --quiet $packages >&2 && echo "$packages" > .tools/python/.installed ||
    echo "Please install Python 3 with venv: its tests are skipped." >&2
fi
PATH="$PWD/.tools/python/bin:$PATH"
export PATH
