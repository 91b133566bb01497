// SPDX-License-Identifier: Apache-2.0
// The two tables as arrays. What a row means stands in patterns.def; how rows are used, in detector.c. Data only.
#include "privacy/pattern.h"

// Services whose keys have no shape of their own: a random value assigned to a name with one of these in it is a key.
#define VENDORS                                                                                          \
    "(?:adafruit|adobe|airtable|algolia|alibaba|anthropic|artifactory|asana|atlassian|authress|beamer|"  \
    "bintray|bitbucket|bittrex|cerebras|cisco|cloudflare|codecov|cohere|coinbase|confluent|contentful|"  \
    "datadog|deepseek|discord|dnkey|drone(?:ci)?|dropbox|duffel|etherscan|etsy|facebook|fastly|fb|"      \
    "finicity|finnhub|flickr|freemius|freshbooks|gemini|gitter|gocardless|groq|heroku|hubspot|infura|"   \
    "intercom|jfrog|jira|kraken|kucoin|launchdarkly|linear|linked[_-]?in|lob|looker|mailchimp|mailgun|"  \
    "mapbox|mattermost|maxmind|meraki|message[_-]?bird|mistral|netlify|new[_-]?relic|new-?york-?times|"  \
    "nytimes|octopus|okta|openai|openrouter|plaid|polymarket|privateai|rapidapi|sendbird|sentry|shodan|" \
    "sidekiq|snyk|sonar|splunk|square(?:space)?|sumo(?:logic)?|together|travis|trello|twitch|twitter|"   \
    "weaviate|yandex|zendesk|zeplin|zoho)"

const struct pattern patterns[] = {
#define PATTERN(entity, rule, anchor, expression, near, check) \
    {ENTITY_##entity, PATTERN_BACK, 0, 0, rule, anchor, expression, near, check},
#define PHRASE(entity, rule, anchor, expression, near, check) \
    {ENTITY_##entity, PHRASE_BACK, 0, 0, rule, anchor, expression, near, check},
#define NUMBER(entity, rule, anchor, expression, near, check) \
    {ENTITY_##entity, NUMBER_BACK, 0, 0, rule, anchor, expression, near, check},
#define DIGITS(entity, rule, least, runs, anchor, expression, near, check) \
    {ENTITY_##entity, NUMBER_BACK, least, runs, rule, anchor, expression, near, check},
#include "privacy/patterns.def"
#undef PATTERN
#undef PHRASE
#undef NUMBER
#undef DIGITS
};
const size_t n_patterns = sizeof patterns / sizeof patterns[0];

static const char *const names[ENTITY_COUNT] = {
#define ENTITY(id, name) name,
#include "privacy/entities.def"
#undef ENTITY
};

const char *entity_name(enum entity e) {
    return (unsigned)e < ENTITY_COUNT ? names[e] : "";
}

enum entity span_entity(const struct span *s) {
    return s->pattern == PATTERN_WORD ? ENTITY_WORD : patterns[s->pattern].entity;
}

const char *span_rule(const struct span *s) {
    return s->pattern == PATTERN_WORD ? "word" : patterns[s->pattern].rule;
}
