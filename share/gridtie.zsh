#compdef gridtie
# SPDX-License-Identifier: Apache-2.0
# zsh completion for gridtie: put it into a folder of $fpath as _gridtie.

_gridtie_models() {
    local -a models
    models=(${(f)"$(command gridtie list --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4)"})
    compadd -a models
}

_gridtie() {
    local -a commands
    commands=(
        'serve:run the daemon'
        'run:ask a model, and start the daemon if none runs'
        'chat:talk with a model, a question a line'
        'launch:start a coding agent that asks here'
        'pull:fetch a model, and start the daemon if none runs'
        'show:what a model is, as its file says it'
        'create:make a model by a Modelfile'
        'cp:give a model another name'
        'rm:remove models from the store'
        'ps:the local models that are in memory'
        'list:the models that requests can go to'
        'endpoints:the places that compute, and their health'
        'why:one request: what was decided, and why'
        'log:the latest requests'
        'spend:what was spent, and how the budgets stand'
        'runs:the runs of agents and what they spent; stop one'
        "key:make, list and revoke clients' keys"
        'catalogue:what is known of models\: prices, limits, capabilities'
        'audit:receipts of what left this device'
        'privacy:what is private in a text, and what would leave of it'
        'stop:unload a model, or end the daemon'
        'check:check the config, without a daemon'
        'reload:let the daemon read its config again'
        'sim:run a scripted provider, for tests'
        'version:which version this is'
        'help:what a command does, its options, examples'
    )
    if ((CURRENT == 2)); then
        _describe 'command' commands
        return
    fi
    local command=${words[2]}
    shift words
    ((CURRENT--))
    case $command in
        serve)
            _arguments \
                '--config[the config; default\: $XDG_CONFIG_HOME/gridtie/gridtie.yaml if it is there]:FILE:_files' \
                '-c[the config; default\: $XDG_CONFIG_HOME/gridtie/gridtie.yaml if it is there]:FILE:_files' \
                '--daemon[in the background\: returns when it answers; its log is in the state folder]' \
                '--offline[open no connection beyond this machine, whatever the config says]' \
                '--help[this]' \
                '-h[this]'
            ;;
        run)
            _arguments \
                '--system[instructions that stand before the conversation]:TEXT:' \
                '-s[instructions that stand before the conversation]:TEXT:' \
                '*--image[an image that goes along; may be given more than once]:FILE:_files' \
                '*-i[an image that goes along; may be given more than once]:FILE:_files' \
                '--json-schema[the answer is JSON that keeps to this schema]:FILE:_files' \
                '--verbose[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '-v[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:model:_gridtie_models'
            ;;
        chat)
            _arguments \
                '--system[instructions that stand before the conversation]:TEXT:' \
                '-s[instructions that stand before the conversation]:TEXT:' \
                '*--image[an image that goes along; may be given more than once]:FILE:_files' \
                '*-i[an image that goes along; may be given more than once]:FILE:_files' \
                '--json-schema[the answer is JSON that keeps to this schema]:FILE:_files' \
                '--verbose[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '-v[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:model:_gridtie_models'
            ;;
        launch)
            _arguments \
                '--model[the model, as requests name it]:NAME:_gridtie_models' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:agent:(claude codex opencode aider)'
            ;;
        pull)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:model:(smollm2\:135m gemma3\:270m all-minilm hf.co/)'
            ;;
        show)
            _arguments \
                '--verbose[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '-v[afterwards\: target, zone, time to the first token, tokens per second, cost]' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '*:model:_gridtie_models'
            ;;
        create)
            _arguments \
                '--file[the Modelfile; default\: Modelfile in this folder; -\: standard input]:FILE:_files' \
                '-f[the Modelfile; default\: Modelfile in this folder; -\: standard input]:FILE:_files' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        cp)
            _arguments \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '*:model:_gridtie_models'
            ;;
        rm)
            _arguments \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '*:model:_gridtie_models'
            ;;
        ps)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        list)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        endpoints)
            _arguments \
                '--watch[again every two seconds, until Ctrl-C]' \
                '-w[again every two seconds, until Ctrl-C]' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        why)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:request:(last)'
            ;;
        log)
            _arguments \
                '--limit[so many at most, newest first; default 20, at most 1000]:N:' \
                '-n[so many at most, newest first; default 20, at most 1000]:N:' \
                '--model[the model, as requests name it]:NAME:_gridtie_models' \
                '--target[only requests that this target answered (endpoint/model)]:NAME:' \
                '--status[only requests that ended so]:ok or failed:(ok failed)' \
                '--since[only requests since\: 30m, 12h, 7d ago, or seconds since 1970]:TIME:' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        spend)
            _arguments \
                '--by[key, model, endpoint, run or day; default key]:WHAT:(key model endpoint run day)' \
                '--since[only requests since\: 30m, 12h, 7d ago, or seconds since 1970]:TIME:' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        runs)
            _arguments \
                '--key[the run of this key, where several have one of that id]:NAME:' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:verb:(stop)'
            ;;
        key)
            _arguments \
                '--budget[what the new key may spend, as "5 USD/day, 50 USD/month@Europe/Berlin"]:LIST:' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:verb:(add list revoke)'
            ;;
        catalogue)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:verb:(show diff update)'
            ;;
        audit)
            _arguments \
                '--limit[so many at most, newest first; default 20, at most 1000]:N:' \
                '-n[so many at most, newest first; default 20, at most 1000]:N:' \
                '--since[only requests since\: 30m, 12h, 7d ago, or seconds since 1970]:TIME:' \
                '--zone[only what went to this zone\: edge, sealed or cloud]:ZONE:(edge sealed cloud)' \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:verb:(verify head)'
            ;;
        privacy)
            _arguments \
                '--json[JSON instead of text]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:verb:(scan preview)' \
                '2:file:_files'
            ;;
        stop)
            _arguments \
                '--daemon[end the daemon; open streams may finish first]' \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]' \
                '1:model:_gridtie_models'
            ;;
        check)
            _arguments \
                '--reference[print the reference of all settings (Markdown) instead]' \
                '--help[this]' \
                '-h[this]' \
                '1:config:_files'
            ;;
        reload)
            _arguments \
                '--url[the daemon; default\: $GRIDTIE_URL, else the configs first listen address]:URL:' \
                '--key-file[file with the key to show the daemon; default\: $GRIDTIE_KEY]:FILE:_files' \
                '--help[this]' \
                '-h[this]'
            ;;
        sim)
            _arguments \
                '--listen[where it listens]:ADDRESS PORT:' \
                '--models[what the model lists show]:A,B:' \
                '--owner[who they say owns the models]:NAME:' \
                '--bill[a line of JSON per request]:FILE:_files' \
                '--price[USD per million tokens]:IN OUT:' \
                '--latency[before the answer starts]:MS:' \
                '--first-ms[before the first chunk]:MS:' \
                '--chunk-ms[between chunks]:MS:' \
                '--chunks[so many chunks]:N:' \
                '--words[so many words]:N:' \
                '--order[orders for every request]:JSON:' \
                '--help[this]' \
                '-h[this]'
            ;;
        version)
            _arguments \
                '--json[JSON instead of text]' \
                '--help[this]' \
                '-h[this]'
            ;;
        help)
            _arguments \
                '--help[this]' \
                '-h[this]' \
                '1:command:(serve run chat launch pull show create cp rm ps list endpoints why log spend runs key catalogue audit privacy stop check reload sim version help)'
            ;;
    esac
}

_gridtie "$@"
