#include "server/access.h"

static const struct {
    const char *method;
    const char *verb;
} verbs[] = {
    {"POST", "create"}, {"GET", "get"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"},
};

/* A root and all below it. */
static const struct {
    const char *root;
    const char *subresources[ACCESS_MAX_SUBRESOURCES];
} roots[] = {
    {"/stats", {"stats", NULL}},
    {"/metrics", {"metrics", NULL}},
    {"/logs", {"log", NULL}}, /* as in pods/log */
    {"/checkpoint", {"checkpoint", NULL}},
    {"/statusz", {"statusz", NULL}},
    {"/flagz", {"configz", NULL}},
    {"/pods", {"pods", "proxy"}},
    {"/runningpods", {"pods", "proxy"}},
    {"/healthz", {"healthz", "proxy"}},
    {"/configz", {"configz", "proxy"}},
    {"", {"proxy", NULL}}, /* everything else */
};

static bool is_below(const char *path, const char *root)
{
    size_t len = strlen(root);
    return len == 0 || (text_has_prefix(path, root) && (path[len] == '\0' || path[len] == '/'));
}

struct access access_of(const char *method, const char *path)
{
    struct access access = {.verb = ""};
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (text_eq(verbs[i].method, method))
            access.verb = verbs[i].verb;
    }
    size_t row = 0;
    while (!is_below(path, roots[row].root)) /* the last row takes all */
        row++;
    while (access.count < ACCESS_MAX_SUBRESOURCES && roots[row].subresources[access.count]) {
        access.subresources[access.count] = roots[row].subresources[access.count];
        access.count++;
    }
    return access;
}
