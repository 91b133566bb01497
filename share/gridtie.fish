# SPDX-License-Identifier: Apache-2.0
# fish completion for gridtie: put it into ~/.config/fish/completions.

function __gridtie_models
    command gridtie list --json 2>/dev/null | string match -ra '"name":"[^"]*"' | string replace -r '.*:"(.*)"' '$1'
end

complete -c gridtie -f
complete -c gridtie -n __fish_use_subcommand -a serve -d 'run the daemon'
complete -c gridtie -n __fish_use_subcommand -a run -d 'ask a model, and start the daemon if none runs'
complete -c gridtie -n __fish_use_subcommand -a ps -d 'the local models that are in memory'
complete -c gridtie -n __fish_use_subcommand -a list -d 'the models that requests can go to'
complete -c gridtie -n __fish_use_subcommand -a endpoints -d 'the places that compute, and their health'
complete -c gridtie -n __fish_use_subcommand -a why -d 'one request: what was decided, and why'
complete -c gridtie -n __fish_use_subcommand -a log -d 'the latest requests'
complete -c gridtie -n __fish_use_subcommand -a spend -d 'what was spent, and how the budgets stand'
complete -c gridtie -n __fish_use_subcommand -a runs -d 'the runs of agents and what they spent; stop one'
complete -c gridtie -n __fish_use_subcommand -a key -d "make, list and revoke clients' keys"
complete -c gridtie -n __fish_use_subcommand -a catalogue -d 'what is known of models: prices, limits, capabilities'
complete -c gridtie -n __fish_use_subcommand -a audit -d 'receipts of what left this device'
complete -c gridtie -n __fish_use_subcommand -a privacy -d 'what is private in a text, and what would leave of it'
complete -c gridtie -n __fish_use_subcommand -a stop -d 'unload a model, or end the daemon'
complete -c gridtie -n __fish_use_subcommand -a check -d 'check the config, without a daemon'
complete -c gridtie -n __fish_use_subcommand -a reload -d 'let the daemon read its config again'
complete -c gridtie -n __fish_use_subcommand -a sim -d 'run a scripted provider, for tests'
complete -c gridtie -n __fish_use_subcommand -a version -d 'which version this is'
complete -c gridtie -n __fish_use_subcommand -a help -d 'what a command does, its options, examples'

complete -c gridtie -n '__fish_seen_subcommand_from serve' -l config -s c -r -F -d 'the config; default: $XDG_CONFIG_HOME/gridtie/gridtie.yaml if it is there'
complete -c gridtie -n '__fish_seen_subcommand_from serve' -l daemon -d 'in the background: returns when it answers; its log is in the state folder'
complete -c gridtie -n '__fish_seen_subcommand_from serve' -l offline -d 'open no connection beyond this machine, whatever the config says'
complete -c gridtie -n '__fish_seen_subcommand_from serve' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from run' -l system -s s -r -d 'instructions that stand before the conversation'
complete -c gridtie -n '__fish_seen_subcommand_from run' -l verbose -s v -d 'afterwards: target, zone, time to the first token, tokens per second, cost'
complete -c gridtie -n '__fish_seen_subcommand_from run' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from run' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from run' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from run' -a '(__gridtie_models)'

complete -c gridtie -n '__fish_seen_subcommand_from ps' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from ps' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from ps' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from ps' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from list' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from list' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from list' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from list' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from endpoints' -l watch -s w -d 'again every two seconds, until Ctrl-C'
complete -c gridtie -n '__fish_seen_subcommand_from endpoints' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from endpoints' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from endpoints' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from endpoints' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from why' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from why' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from why' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from why' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from why' -a last

complete -c gridtie -n '__fish_seen_subcommand_from log' -l limit -s n -r -d 'so many at most, newest first; default 20, at most 1000'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l model -r -d 'only requests that asked for this model'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l target -r -d 'only requests that this target answered (endpoint/model)'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l status -r -a 'ok failed' -d 'only requests that ended so'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l since -r -d 'only requests since: 30m, 12h, 7d ago, or seconds since 1970'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from log' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from spend' -l by -r -a 'key model endpoint run day' -d 'key, model, endpoint, run or day; default key'
complete -c gridtie -n '__fish_seen_subcommand_from spend' -l since -r -d 'only requests since: 30m, 12h, 7d ago, or seconds since 1970'
complete -c gridtie -n '__fish_seen_subcommand_from spend' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from spend' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from spend' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from spend' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from runs' -l key -r -d 'the run of this key, where several have one of that id'
complete -c gridtie -n '__fish_seen_subcommand_from runs' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from runs' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from runs' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from runs' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from runs' -a stop

complete -c gridtie -n '__fish_seen_subcommand_from key' -l budget -r -d 'what the new key may spend, as "5 USD/day, 50 USD/month@Europe/Berlin"'
complete -c gridtie -n '__fish_seen_subcommand_from key' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from key' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from key' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from key' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from key' -a 'add list revoke'

complete -c gridtie -n '__fish_seen_subcommand_from catalogue' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from catalogue' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from catalogue' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from catalogue' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from catalogue' -a 'show diff update'

complete -c gridtie -n '__fish_seen_subcommand_from audit' -l limit -s n -r -d 'so many at most, newest first; default 20, at most 1000'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l since -r -d 'only requests since: 30m, 12h, 7d ago, or seconds since 1970'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l zone -r -a 'edge sealed cloud' -d 'only what went to this zone: edge, sealed or cloud'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from audit' -a 'verify head'
complete -c gridtie -n '__fish_seen_subcommand_from privacy' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from privacy' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from privacy' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from privacy' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from privacy' -a 'scan preview'
complete -c gridtie -n '__fish_seen_subcommand_from scan preview' -F
complete -c gridtie -n '__fish_seen_subcommand_from stop' -l daemon -d 'end the daemon: open streams may finish first'
complete -c gridtie -n '__fish_seen_subcommand_from stop' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from stop' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from stop' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from stop' -a '(__gridtie_models)'

complete -c gridtie -n '__fish_seen_subcommand_from check' -l reference -d 'print the reference of all settings (Markdown) instead'
complete -c gridtie -n '__fish_seen_subcommand_from check' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from check' -F

complete -c gridtie -n '__fish_seen_subcommand_from reload' -l url -r -d 'the daemon; default: $GRIDTIE_URL, else the configs first listen address'
complete -c gridtie -n '__fish_seen_subcommand_from reload' -l key-file -r -F -d 'file with the key to show the daemon; default: $GRIDTIE_KEY'
complete -c gridtie -n '__fish_seen_subcommand_from reload' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from sim' -l listen -r -d 'where it listens'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l models -r -d 'what the model lists show'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l owner -r -d 'who they say owns the models'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l bill -r -F -d 'a line of JSON per request'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l price -r -d 'USD per million tokens'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l latency -r -d 'before the answer starts'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l first-ms -r -d 'before the first chunk'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l chunk-ms -r -d 'between chunks'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l chunks -r -d 'so many chunks'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l words -r -d 'so many words'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l order -r -d 'orders for every request'
complete -c gridtie -n '__fish_seen_subcommand_from sim' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from version' -l json -d 'JSON instead of text'
complete -c gridtie -n '__fish_seen_subcommand_from version' -l help -s h -d 'this'

complete -c gridtie -n '__fish_seen_subcommand_from help' -l help -s h -d 'this'
complete -c gridtie -n '__fish_seen_subcommand_from help' -a 'serve run ps list endpoints why log spend runs key catalogue audit privacy stop check reload sim version help'
