#include "kube/names.h"

struct acronym {
    char word[9]; /* in a .proto name */
    char text[9]; /* in a JSON name, when it is not the first word there */
};

static const struct acronym acronyms[] = {
    {"api", "API"},     {"ca", "CA"},     {"cfs", "CFS"},   {"cidr", "CIDR"},
    {"cidrs", "CIDRs"}, {"cpus", "CPUs"}, {"dns", "DNS"},   {"fqdn", "FQDN"},
    {"gc", "GC"},       {"id", "ID"},     {"ids", "IDs"},   {"io", "IO"},
    {"ip", "IP"},       {"ipc", "IPC"},   {"ips", "IPs"},   {"iptables", "IPTables"},
    {"oom", "OOM"},     {"pid", "PID"},   {"qos", "QOS"},   {"qps", "QPS"},
    {"tls", "TLS"},     {"ttl", "TTL"},   {"uri", "URI"},   {"url", "URL"},
    {"urls", "URLs"},   {"uuid", "UUID"}, {"wwns", "WWNs"},
};

static const char *acronym_text(const char *word, size_t len)
{
    if (len >= sizeof(acronyms[0].word))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(acronyms); i++) {
        const char *acronym = acronyms[i].word;
        if (acronym[0] == word[0] && strncmp(acronym, word, len) == 0 && acronym[len] == '\0')
            return acronyms[i].text;
    }
    return NULL;
}

size_t field_name_to_json(const char *proto_name, char json_name[static FIELD_NAME_SIZE])
{
    size_t out = 0;
    bool is_first = true;
    for (const char *word = proto_name; *word;) {
        size_t len = strcspn(word, "_");
        const char *text = is_first ? NULL : acronym_text(word, len);
        ASSERT(out + len < FIELD_NAME_SIZE);
        memcpy(json_name + out, text ? text : word, len);
        if (!is_first && !text && word[0] >= 'a' && word[0] <= 'z')
            json_name[out] = (char)(word[0] - 'a' + 'A');
        out += len;
        word += len;
        while (*word == '_')
            word++;
        is_first = false;
    }
    json_name[out] = '\0';
    return out;
}
