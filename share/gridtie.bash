# SPDX-License-Identifier: Apache-2.0
# bash completion for gridtie: source this file, or put it into a completions folder.

_gridtie_models() {
    command gridtie list --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4
}

_gridtie() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]:-} options=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "serve run chat launch pull show create cp rm ps list endpoints why log spend runs key catalogue audit privacy stop check reload sim version help --help" -- "$word")
        return
    fi
    case $previous in
        --config | -c | --key-file | --bill | --image | -i | --json-schema | --file | -f)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        --model)
            mapfile -t COMPREPLY < <(compgen -W "$(_gridtie_models)" -- "$word")
            return
            ;;
        --status)
            mapfile -t COMPREPLY < <(compgen -W "ok failed" -- "$word")
            return
            ;;
        --zone)
            mapfile -t COMPREPLY < <(compgen -W "edge sealed cloud" -- "$word")
            return
            ;;
        --by)
            mapfile -t COMPREPLY < <(compgen -W "key model endpoint run day" -- "$word")
            return
            ;;
    esac
    case $command in
        serve) options="--config --daemon --offline --help" ;;
        run | chat) options="--system --image --json-schema --verbose --url --key-file --help" ;;
        launch) options="--model --url --key-file --help" ;;
        pull) options="--json --url --key-file --help" ;;
        show) options="--verbose --json --url --key-file --help" ;;
        create) options="--file --json --url --key-file --help" ;;
        cp | rm) options="--url --key-file --help" ;;
        endpoints) options="--watch --json --url --key-file --help" ;;
        ps | list | why) options="--json --url --key-file --help" ;;
        log) options="--limit --model --target --status --since --json --url --key-file --help" ;;
        spend) options="--by --since --json --url --key-file --help" ;;
        runs) options="--key --json --url --key-file --help" ;;
        key) options="--budget --json --url --key-file --help" ;;
        catalogue) options="--json --url --key-file --help" ;;
        audit) options="--limit --since --zone --json --url --key-file --help" ;;
        privacy) options="--json --url --key-file --help" ;;
        stop) options="--daemon --url --key-file --help" ;;
        check) options="--reference --help" ;;
        reload) options="--url --key-file --help" ;;
        sim) options="--listen --models --owner --bill --price --latency --first-ms --chunk-ms --chunks --words --order --help" ;;
        version) options="--json --help" ;;
        help) options="--help" ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    case $command in
        launch) mapfile -t COMPREPLY < <(compgen -W "claude codex opencode aider" -- "$word") ;;
        pull)
            mapfile -t COMPREPLY < <(
                compgen -W "smollm2:135m gemma3:270m all-minilm hf.co/" -- "$word"
                compgen -f -- "$word"
            )
            ;;
        run | chat | stop | show | cp | rm) mapfile -t COMPREPLY < <(compgen -W "$(_gridtie_models)" -- "$word") ;;
        runs) mapfile -t COMPREPLY < <(compgen -W "stop" -- "$word") ;;
        key) mapfile -t COMPREPLY < <(compgen -W "add list revoke" -- "$word") ;;
        catalogue) mapfile -t COMPREPLY < <(compgen -W "show diff update" -- "$word") ;;
        audit) mapfile -t COMPREPLY < <(compgen -W "verify head" -- "$word") ;;
        privacy)
            if ((COMP_CWORD == 2)); then
                mapfile -t COMPREPLY < <(compgen -W "scan preview" -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi
            ;;
        why) mapfile -t COMPREPLY < <(compgen -W "last" -- "$word") ;;
        check) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        help) mapfile -t COMPREPLY < <(compgen -W "serve run chat launch pull show create cp rm ps list endpoints why log spend runs key catalogue audit privacy stop check reload sim version help" -- "$word") ;;
    esac
}
complete -F _gridtie gridtie
