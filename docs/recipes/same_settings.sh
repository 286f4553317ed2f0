# Sourced by the scripts that leave alone what is distilled already.

# Refuse a folder that was made with other words, so that none of its students is taken for another.
require_same() { # OUT WORDS
    if [ -e "$1/asked" ] && [ "$(cat "$1/asked")" != "$2" ]; then
        echo "$1 was made with '$(cat "$1/asked")', not with '$2'. Name another folder." >&2
        exit 2
    fi
    echo "$2" >"$1/asked"
}
