/*
 * Who may use an image that is there, and how a pull changes what is known of that. A pod may use
 * it when the policy does not ask, when anybody on the node may, or when one of its own credentials
 * is among those that have pulled it: the same secret, or another with the same content. Whatever
 * is in doubt is decided by a real pull.
 *
 * Upstream: pkg/kubelet/images/pullmanager/image_pull_manager.go and image_pull_policies.go.
 */
#include "image/pull_record.h"

/* --- merging --- */

static int compare_owners(const char *const a[3], const char *const b[3])
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < 3; i++)
        order = strcmp(a[i], b[i]);
    return order;
}

static int compare_secrets(const void *a, const void *b)
{
    const struct pull_secret *left = a, *right = b;
    return compare_owners((const char *const[]){left->namespace_, left->name, left->uid},
                          (const char *const[]){right->namespace_, right->name, right->uid});
}

static int compare_accounts(const void *a, const void *b)
{
    const struct pull_account *left = a, *right = b;
    return compare_owners((const char *const[]){left->namespace_, left->name, left->uid},
                          (const char *const[]){right->namespace_, right->name, right->uid});
}

/* Each secret once, the newer hash of those that both have. False: nothing is new. */
static bool merge_secrets(struct pull_access *access, const struct pull_access *more,
                          struct arena *arena)
{
    struct pull_secret *all =
        arena_calloc(arena, access->n_secrets + more->n_secrets + 1, sizeof(*all));
    size_t count = access->n_secrets;
    bool is_new = false;
    if (count > 0)
        memcpy(all, access->secrets, count * sizeof(*all));
    for (size_t i = 0; i < more->n_secrets; i++) {
        size_t k = 0;
        while (k < count && compare_secrets(&all[k], &more->secrets[i]) != 0)
            k++;
        if (k < count && strcmp(all[k].hash, more->secrets[i].hash) == 0)
            continue;
        is_new = true;
        all[k] = more->secrets[i];
        count += k == count;
    }
    if (count > 1)
        qsort(all, count, sizeof(*all), compare_secrets);
    access->secrets = all;
    access->n_secrets = count;
    return is_new;
}

static bool merge_accounts(struct pull_access *access, const struct pull_access *more,
                           struct arena *arena)
{
    struct pull_account *all =
        arena_calloc(arena, access->n_accounts + more->n_accounts + 1, sizeof(*all));
    size_t count = access->n_accounts;
    if (count > 0)
        memcpy(all, access->accounts, count * sizeof(*all));
    for (size_t i = 0; i < more->n_accounts; i++) {
        size_t k = 0;
        while (k < count && compare_accounts(&all[k], &more->accounts[i]) != 0)
            k++;
        all[k] = more->accounts[i];
        count += k == count;
    }
    bool is_new = count > access->n_accounts;
    if (count > 1)
        qsort(all, count, sizeof(*all), compare_accounts);
    access->accounts = all;
    access->n_accounts = count;
    return is_new;
}

static bool merge_access(struct pull_access *access, const struct pull_access *more,
                         struct arena *arena)
{
    if (access->all_pods)
        return false;
    if (more->all_pods) {
        *access = (struct pull_access){.all_pods = true};
        return true;
    }
    bool has_secrets = merge_secrets(access, more, arena);
    return merge_accounts(access, more, arena) || has_secrets;
}

bool pull_record_merge(const struct pull_record *old, const struct pull_proof *proof, int64_t now_s,
                       struct arena *arena, struct pull_record *ret)
{
    const struct pull_access *access = proof->access;
    bool has_access = proof->repository && access &&
                      (access->all_pods || access->n_secrets > 0 || access->n_accounts > 0);
    if (old && !has_access)
        return false;
    size_t count = old ? old->n_mappings : 0, at = 0;
    struct pull_mapping *mappings = arena_calloc(arena, count + 1, sizeof(*mappings));
    if (count > 0)
        memcpy(mappings, old->mappings, count * sizeof(*mappings));
    if (has_access) {
        while (at < count && strcmp(mappings[at].repository, proof->repository) != 0)
            at++;
        if (at == count)
            mappings[count++] = (struct pull_mapping){.repository = proof->repository};
        bool is_new = merge_access(&mappings[at].access, access, arena);
        if (!is_new)
            return false;
    }
    *ret = (struct pull_record){.image_ref = proof->image_ref,
                                .updated_s = now_s,
                                .mappings = mappings,
                                .n_mappings = count};
    return true;
}

/* --- deciding --- */

const char *pull_check_name(enum pull_check check)
{
    static const char *const names[] = {
        [PULL_CHECK_POLICY_ALLOWS] = "credentialPolicyAllowed",
        [PULL_CHECK_RECORD_FOUND] = "credentialRecordFound",
        [PULL_CHECK_MUST_AUTHENTICATE] = "mustAuthenticate",
        [PULL_CHECK_ERROR] = "error",
        [PULL_CHECK_NEEDS_ACCESS] = "",
    };
    return names[check];
}

static bool is_listed(const struct pull_policy *policy, const char *repository)
{
    for (size_t i = 0; i < policy->n_allowlist; i++) {
        struct str entry = str_from(policy->allowlist[i]);
        if (str_has_suffix(entry, "/*")) {
            if (strncmp(repository, entry.ptr, entry.len - 1) == 0)
                return true;
        } else if (str_eq_c(entry, repository)) {
            return true;
        }
    }
    return false;
}

static bool policy_allows(const struct pull_check_input *input)
{
    switch (input->policy->kind) {
    case CONFIG_PULL_NEVER_VERIFY:
        return true;
    case CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES:
        return !input->is_known;
    case CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES:
        return input->repository && is_listed(input->policy, input->repository);
    case CONFIG_PULL_ALWAYS_VERIFY:
        return false;
    }
    return false;
}

/* What is known of the image's repository; NULL: nothing. */
static const struct pull_access *find_access(const struct pull_check_input *input)
{
    for (size_t i = 0; i < input->record->n_mappings; i++) {
        if (text_eq(input->record->mappings[i].repository, input->repository))
            return &input->record->mappings[i].access;
    }
    return NULL;
}

/* One secret of the pod against one that has pulled the image. *ret_is_news: the pod's is to be
 * noted. */
static bool secret_matches(const struct pull_secret *own, const struct pull_secret *known,
                           bool has_room, bool *ret_is_news)
{
    bool is_same_content = *known->hash && strcmp(own->hash, known->hash) == 0;
    bool is_same_secret = compare_secrets(own, known) == 0;
    *ret_is_news = has_room && is_same_content != is_same_secret;
    /* One that has changed since is believed only while that can be noted. */
    return is_same_content || (is_same_secret && has_room);
}

static enum pull_check match(const struct pull_access *known, const struct pull_access *pod,
                             const struct pull_secret **ret_note)
{
    bool has_room = known->n_secrets < PULL_RECORD_MATCH_LIMIT;
    for (size_t i = 0; i < pod->n_secrets; i++) {
        for (size_t k = 0; k < known->n_secrets; k++) {
            bool is_news = false;
            if (!secret_matches(&pod->secrets[i], &known->secrets[k], has_room, &is_news))
                continue;
            if (is_news)
                *ret_note = &pod->secrets[i];
            return PULL_CHECK_RECORD_FOUND;
        }
    }
    for (size_t i = 0; i < pod->n_accounts; i++) {
        for (size_t k = 0; k < known->n_accounts; k++) {
            if (compare_accounts(&pod->accounts[i], &known->accounts[k]) == 0)
                return PULL_CHECK_RECORD_FOUND;
        }
    }
    return PULL_CHECK_MUST_AUTHENTICATE;
}

enum pull_check pull_check(const struct pull_check_input *input,
                           const struct pull_secret **ret_note)
{
    *ret_note = NULL;
    if (input->is_unreadable)
        return PULL_CHECK_ERROR;
    if (policy_allows(input))
        return PULL_CHECK_POLICY_ALLOWS;
    if (!input->record)
        return PULL_CHECK_MUST_AUTHENTICATE;
    if (!input->repository)
        return PULL_CHECK_ERROR;
    const struct pull_access *known = find_access(input);
    if (!known)
        return PULL_CHECK_MUST_AUTHENTICATE;
    if (known->all_pods)
        return PULL_CHECK_RECORD_FOUND;
    if (known->n_secrets == 0 && known->n_accounts == 0)
        return PULL_CHECK_MUST_AUTHENTICATE;
    if (!input->pod)
        return PULL_CHECK_NEEDS_ACCESS;
    return match(known, input->pod, ret_note);
}
