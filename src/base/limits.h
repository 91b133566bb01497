// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H
// Every bound in one place, each with its reason. Units are in the names.

// --- HTTP in
#define LIMIT_HEAD_BYTES (32u << 10)           // nginx takes 4 x 8 KiB; agents send long auth and metadata headers
#define LIMIT_HEADERS 100                      // Apache's default; real clients send about 20
#define LIMIT_TARGET_BYTES (8u << 10)          // the usual bound of a request line
#define LIMIT_BODY_BYTES (64u << 20)           // a 1M-token context is about 4 MB, images in base64 make the rest
#define LIMIT_CONNS_PER_LOOP 10000             // file descriptors, not memory, end first
#define LIMIT_PIPELINE_BYTES (64u << 10)       // bytes of a next request that may wait behind a running one
#define LIMIT_HEAD_MS 10000                    // slowloris: a head that is not whole by then is 408
#define LIMIT_BODY_IDLE_MS 30000               // between two reads of a body
#define LIMIT_KEEPALIVE_MS 75000               // nginx's keepalive_timeout
#define LIMIT_SEND_IDLE_MS 120000              // a client that takes nothing for so long is gone
#define LIMIT_CLIENT_BACKLOG_BYTES (64u << 10) // above this the upstream is not read: credit is spent
#define LIMIT_CLIENT_LOW_BYTES (16u << 10)     // at this the credit comes back

// --- HTTP out
#define LIMIT_UP_HEAD_BYTES (64u << 10)  // some clouds answer with many headers
#define LIMIT_UP_BODY_BYTES (64u << 20)  // a whole answer, with images in base64
#define LIMIT_UP_ERROR_BYTES (64u << 10) // an error body is read so far, then cut
#define LIMIT_FRAME_BYTES (16u << 20)    // one SSE event or NDJSON line (an image may be in it)
#define LIMIT_IDLE_UPSTREAMS 256         // kept-alive sockets per origin and loop: a burst's worth
#define LIMIT_IDLE_UPSTREAM_MS 55000     // below the 60 s after which most servers close
#define LIMIT_CONNECT_MS 5000            // default of endpoints[].timeouts.connect
#define LIMIT_FIRST_EVENT_MS 300000      // default first event: a long prompt on a slow machine
#define LIMIT_IDLE_EVENT_MS 120000       // default silence inside a stream
#define LIMIT_TOTAL_MS 1800000           // default whole exchange: 30 min

// --- JSON and the inner form
#define LIMIT_JSON_DEPTH 128 // deeper than any schema seen in the wild, shallow enough for recursion
#define LIMIT_MESSAGES 20000 // an agent's longest conversation, times ten
#define LIMIT_TOOLS 1024     // OpenAI allows 128; MCP users go beyond
#define LIMIT_STOPS 64
#define LIMIT_CALL_TOKENS 2048 // of an emulated call that was asked for without a bound: a model that says more rambles
#define LIMIT_INPUTS 2048      // texts of one request for vectors, documents of one for their order: OpenAI's bound
#define LIMIT_BLOCKS 4096      // blocks of one answer
#define LIMIT_DROPPED 64       // notes on dropped fields per exchange; more are counted only
#define LIMIT_MODEL_NAME_BYTES 256
#define LIMIT_CARRIED_BYTES (128u << 10) // of signatures packed into one id or signature: clients keep both
#define LIMIT_SCHEMA_STEPS 2000000       // of one check: an answer of 100,000 values against a rich schema
#define LIMIT_SCHEMA_DEPTH 512           // of schemas inside schemas, $ref followed: what the stack takes with ease

// --- what a loop reads or writes of JSON between two events; more goes to the pool
#define LIMIT_LOOP_JSON_BYTES (224u << 10) // 0.3 ms of prose, 0.8 ms of code, read and written
#define LIMIT_LOOP_JSON_QUOTES 16000       // of many small values: 0.5 ms

// --- one exchange
#define LIMIT_EXCHANGE_ARENA_BYTES (256u << 20) // body + tree + translated body of the largest request
#define LIMIT_ATTEMPTS 8                        // stages tried before we give up
#define LIMIT_TARGETS_PER_PLAN 16
#define LIMIT_HOPS 4 // gateways in a row before it must be a loop
#define LIMIT_CHILD_DEPTH 4

// --- money
#define LIMIT_BUDGETS 6        // of one key, and of the whole: each window in two time zones
#define LIMIT_TZ_NAME_BYTES 64 // the longest zone's name has 32
#define LIMIT_RUNS 65536       // remembered at once, half a kilobyte each
#define LIMIT_RUN_ID_BYTES 128 // a session id is a UUID; some clients put a path before it
#define LIMIT_KEYS 4096        // made by `gridtie key add`
#define LIMIT_KEY_NAME_BYTES 64
#define LIMIT_LEAST_TOKENS 16 // an answer cut shorter than this helps nobody; OpenAI refuses bounds below it, too

// --- loops, journal, engine
#define LIMIT_LOOPS 64
#define LIMIT_MAILBOX 65536 // letters waiting for one loop
#define LIMIT_JOURNAL_LINE_BYTES (16u << 10)
#define LIMIT_JOURNAL_SEGMENT_BYTES (64u << 20)
#define LIMIT_ENGINE_WAITERS 1024 // requests that wait for local models to load
#define LIMIT_ENGINE_MODEL_WAITERS \
    512 // of them for one, so that others can wait too; and for a slot of one that is loaded
#define LIMIT_ENGINE_READY_MS 300000 // a model that is not ready by then failed
#define LIMIT_ENGINE_RESTARTS 5      // in a row, with backoff, before requests are refused
#define LIMIT_LOG_LINE_BYTES 4096
#define LIMIT_CONFIG_BYTES (4u << 20)
#define LIMIT_CONFIG_ITEMS 4096           // of one list or map: names are compared with each other
#define LIMIT_CATALOGUE_BYTES (64u << 20) // of one source, and of what is compiled; today's are 4 MB and 1 MB
#define LIMIT_SCAN_PORTS 32  // of this machine that are looked at for servers: each is a connect every minute
#define LIMIT_DRAIN_MS 30000 // default of `drain`: streams may finish so long after SIGTERM

// --- the store
#define LIMIT_STORE_NAMES 1024               // a file each is read at each change
#define LIMIT_STORE_ARENA_BYTES (256u << 20) // all of them, with long licences
#define LIMIT_WATCHED_FOLDERS 1024   // of other programs' models: an inotify watch each, of some 8,000 a user may have
#define LIMIT_LOOKED_FOLDERS 16384   // those beyond are looked at by their times
#define LIMIT_LOOK_MS 30000          // so often
#define LIMIT_LEFTOVER_S (7 * 86400) // a pull that was cut and that nobody went on with for so long is given up
#define LIMIT_JOBS 16                // pulls and the like at once: a thread each

#endif
