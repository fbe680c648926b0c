#include "image/credential_provider_config.h"

#include "base/fd.h"
#include "base/text_list.h"
#include "base/time.h"
#include "image/image_match.h"
#include "kube/codec.h"
#include "kube/validation.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_KIND "CredentialProviderConfig"
#define CONFIG_GROUP "kubelet.config.k8s.io"
#define SHA256_BYTES 32

/* --- decoding --- */

/* Older versions have no tokenAttributes, so there it is one of the fields that nobody knows. */
static struct error *check_version(const struct kube_type_meta *type,
                                   const Credentialprovider__CredentialProviderConfig *config,
                                   const char *path)
{
    if (text_eq(type->api_version, CONFIG_GROUP "/v1"))
        return NULL;
    for (size_t i = 0; i < config->n_providers; i++) {
        if (config->providers[i]->token_attributes)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "%s: unknown field \"providers[%zu].tokenAttributes\" (of %s; it "
                             "needs " CONFIG_GROUP "/v1)",
                             path, i, type->api_version);
    }
    return NULL;
}

static struct error *check_type(const struct kube_type_meta *type, const char *path)
{
    static const char *const versions[] = {CONFIG_GROUP "/v1", CONFIG_GROUP "/v1beta1",
                                           CONFIG_GROUP "/v1alpha1"};
    const struct text_list known = {versions, ARRAY_SIZE(versions)};
    if (text_list_has(&known, type->api_version) && text_eq(type->kind, CONFIG_KIND))
        return NULL;
    if (!type->api_version[0] || !type->kind[0])
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s: no apiVersion or kind (expected \"%s\", \"%s\")", path, versions[0],
                         CONFIG_KIND);
    return error_new(ERROR_INVALID_ARGUMENT,
                     "%s: no kind \"%s\" is registered for version \"%s\" (expected \"%s\" of "
                     "\"%s\", v1beta1 or v1alpha1)",
                     path, type->kind, type->api_version, CONFIG_KIND, versions[0]);
}

struct error *credential_provider_config_decode(struct str text, const char *path,
                                                struct arena *arena,
                                                Credentialprovider__CredentialProviderConfig **ret)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT,
                                                .file = path,
                                                .max_bytes = CREDENTIAL_PROVIDER_FILE_MAX_BYTES};
    struct kube_type_meta type;
    struct error *err = kube_decode_type_meta(text, &options, arena, &type);
    if (!err)
        err = check_type(&type, path);
    ProtobufCMessage *message = NULL;
    if (!err)
        err = kube_decode_text(text, &credentialprovider__credential_provider_config__descriptor,
                               &options, arena, &message);
    if (!err)
        err = check_version(&type, (Credentialprovider__CredentialProviderConfig *)message, path);
    if (!err)
        *ret = (Credentialprovider__CredentialProviderConfig *)message;
    return err;
}

/* --- checking --- */

static void check_name(struct validation *v, const char *name, struct text_map *seen,
                       const struct field_path *path)
{
    if (strchr(name, '/'))
        field_invalid(v, path, name, "provider name cannot contain '/'");
    if (strchr(name, ' '))
        field_invalid(v, path, name, "provider name cannot contain spaces");
    if (text_eq(name, "."))
        field_invalid(v, path, name, "provider name cannot be '.'");
    if (text_eq(name, ".."))
        field_invalid(v, path, name, "provider name cannot be '..'");
    if (!text_map_add(seen, name, 0))
        field_duplicate(v, path, name);
    /* Upstream finds the directory in its place, and says so. */
    if (name[0] == '\0')
        field_required(v, path, NULL);
}

static void check_images(struct validation *v,
                         const Credentialprovider__CredentialProvider *provider,
                         const struct field_path *path)
{
    if (provider->n_match_images == 0)
        field_required(v, path, "at least 1 item in matchImages is required");
    for (size_t i = 0; i < provider->n_match_images; i++) {
        if (!image_pattern_key(str_from(provider->match_images[i]), v->scratch))
            field_invalid(v, path, provider->match_images[i],
                          "match image is invalid: expected a host, its port and a path, of which "
                          "the last two may be missing");
    }
}

static void check_duration(struct validation *v, const Meta__Duration *duration,
                           const struct field_path *path)
{
    char text[TIME_TEXT_SIZE];
    if (!duration)
        field_required(v, path, NULL);
    else if (duration->duration < 0)
        field_invalid(v, path, time_format_duration(duration->duration, text),
                      "defaultCacheDuration must be greater than or equal to 0");
}

static void check_keys(struct validation *v, char *const *keys, size_t count,
                       const struct field_path *path)
{
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < count; i++) {
        field_check_name_lowered(v, path, keys[i], name_rule_qualified);
        if (!text_map_add(&seen, keys[i], 0))
            field_duplicate(v, path, keys[i]);
    }
}

/* Sorted, each once, as a set of Go's is listed. */
static void check_disjoint(struct validation *v,
                           const Credentialprovider__ServiceAccountTokenAttributes *attributes,
                           const struct field_path *path)
{
    size_t room = attributes->n_optional_service_account_annotation_keys, count = 0;
    char **both = arena_calloc(v->scratch, room + 1, sizeof(*both));
    struct text_map required = {.arena = v->scratch}, told = {.arena = v->scratch};
    for (size_t i = 0; i < attributes->n_required_service_account_annotation_keys; i++)
        (void)text_map_add(&required, attributes->required_service_account_annotation_keys[i], 0);
    for (size_t i = 0; i < room; i++) {
        char *key = attributes->optional_service_account_annotation_keys[i];
        if (text_map_find(&required, key, NULL) && text_map_add(&told, key, 0))
            both[count++] = key;
    }
    if (count == 0)
        return;
    qsort(both, count, sizeof(*both), text_compare);
    field_invalid_list(v, path, both, count,
                       "annotation keys cannot be both required and optional");
}

static void check_cache_type(struct validation *v, const char *type, const struct field_path *path)
{
    static const char *const types[] = {CREDENTIAL_CACHE_ACCOUNT, CREDENTIAL_CACHE_TOKEN, NULL};
    if (!type[0])
        field_required(v, path,
                       "cacheType is required to be set when tokenAttributes is specified. "
                       "Supported values are: " CREDENTIAL_CACHE_ACCOUNT
                       ", " CREDENTIAL_CACHE_TOKEN);
    else if (!text_eq(type, types[0]) && !text_eq(type, types[1]))
        field_not_supported(v, path, type, types);
}

static void check_tokens(struct validation *v,
                         const Credentialprovider__CredentialProvider *provider, bool has_tokens,
                         const struct field_path *path)
{
    const Credentialprovider__ServiceAccountTokenAttributes *attributes =
        provider->token_attributes;
    const struct field_path *required = FIELD(path, "requiredServiceAccountAnnotationKeys");
    if (!has_tokens)
        field_forbidden(v, path,
                        "tokenAttributes is not supported when "
                        "KubeletServiceAccountTokenForCredentialProviders feature gate is "
                        "disabled");
    if (!or_empty(attributes->service_account_token_audience)[0])
        field_required(v, FIELD(path, "serviceAccountTokenAudience"), NULL);
    if (!attributes->has_require_service_account)
        field_required(v, FIELD(path, "requireServiceAccount"), NULL);
    if (!text_eq(provider->api_version, CREDENTIAL_PROVIDER_V1))
        field_forbidden(v, path,
                        "tokenAttributes is only supported for " CREDENTIAL_PROVIDER_V1
                        " API version");
    if (attributes->has_require_service_account && !attributes->require_service_account &&
        attributes->n_required_service_account_annotation_keys > 0)
        field_forbidden(v, required,
                        "requireServiceAccount cannot be false when "
                        "requiredServiceAccountAnnotationKeys is set");
    check_keys(v, attributes->required_service_account_annotation_keys,
               attributes->n_required_service_account_annotation_keys, required);
    check_keys(v, attributes->optional_service_account_annotation_keys,
               attributes->n_optional_service_account_annotation_keys,
               FIELD(path, "optionalServiceAccountAnnotationKeys"));
    check_disjoint(v, attributes, path);
    check_cache_type(v, or_empty(attributes->cache_type), FIELD(path, "cacheType"));
}

static void check_provider(struct validation *v,
                           const Credentialprovider__CredentialProvider *provider, bool has_tokens,
                           struct text_map *names)
{
    static const char *const versions[] = {CREDENTIAL_PROVIDER_V1, CREDENTIAL_PROVIDER_V1 "alpha1",
                                           CREDENTIAL_PROVIDER_V1 "beta1", NULL};
    const struct field_path *path = FIELD(NULL, "providers"); /* without an index, as upstream's */
    const char *version = or_empty(provider->api_version);
    check_name(v, or_empty(provider->name), names, FIELD(path, "name"));
    if (!version[0])
        field_required(v, FIELD(path, "apiVersion"), NULL);
    else if (!text_eq(version, versions[0]) && !text_eq(version, versions[1]) &&
             !text_eq(version, versions[2]))
        field_not_supported(v, FIELD(path, "apiVersion"), version, versions);
    check_images(v, provider, FIELD(path, "matchImages"));
    check_duration(v, provider->default_cache_duration, FIELD(path, "defaultCacheDuration"));
    if (provider->token_attributes)
        check_tokens(v, provider, has_tokens, FIELD(path, "tokenAttributes"));
}

/* As Go's aggregate of errors: alone as it is, several in brackets, each text once. */
static struct error *faults_error(const struct field_errors *errors, struct arena *arena)
{
    const char *all = "";
    size_t told = 0;
    struct text_map seen = {.arena = arena};
    for (size_t i = 0; i < errors->count; i++) {
        const char *text =
            arena_printf(arena, "%s: %s", errors->errors[i].path, errors->errors[i].message);
        if (text_map_add(&seen, text, 0))
            all = arena_printf(arena, "%s%s%s", all, told++ > 0 ? ", " : "", text);
    }
    if (errors->count == 0)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT,
                     told > 1 ? "failed to validate credential provider config: [%s]"
                              : "failed to validate credential provider config: %s",
                     all);
}

struct error *credential_provider_config_check(
    const Credentialprovider__CredentialProviderConfig *config, bool has_tokens)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    struct validation v = {.errors = errors, .scratch = arena};
    if (config->n_providers == 0)
        field_required(&v, FIELD(NULL, "providers"), "at least 1 item in plugins is required");
    struct text_map names = {.arena = arena};
    for (size_t i = 0; i < config->n_providers; i++)
        check_provider(&v, config->providers[i], has_tokens, &names);
    return faults_error(errors, arena);
}

/* --- files --- */

struct loading {
    struct arena *arena;
    EVP_MD_CTX *hash;
    Credentialprovider__CredentialProviderConfig **configs; /* one a file */
    size_t count;
};

/* SHA-256 fails for want of memory only. */
static void check(int result)
{
    ASSERT(result == 1);
}

/* Each file with its length, so that what ends one cannot begin the next. */
static void hash_file(EVP_MD_CTX *hash, struct str text)
{
    uint8_t length[8];
    for (size_t i = 0; i < sizeof(length); i++)
        length[i] = (uint8_t)((uint64_t)text.len >> (8 * (sizeof(length) - 1 - i)));
    check(EVP_DigestUpdate(hash, length, sizeof(length)));
    if (text.len > 0)
        check(EVP_DigestUpdate(hash, text.ptr, text.len));
}

static void finish_hash(EVP_MD_CTX *hash, char ret[static CREDENTIAL_PROVIDER_HASH_SIZE])
{
    uint8_t digest[SHA256_BYTES];
    unsigned len = 0;
    check(EVP_DigestFinal_ex(hash, digest, &len));
    ASSERT(len == sizeof(digest));
    memcpy(ret, "sha256:", 8);
    str_hex(digest, sizeof(digest), ret + 7);
}

static struct error *load_file_blocking(struct loading *loading, const char *path)
{
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIAL_PROVIDER_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (err)
        return error_wrap(err, "unable to read file \"%s\"", path);
    err = credential_provider_config_decode(buf_str(&text), path, loading->arena,
                                            &loading->configs[loading->count]);
    if (err)
        return error_wrap(err, "error decoding config \"%s\"", path);
    hash_file(loading->hash, buf_str(&text));
    loading->count++;
    return NULL;
}

static bool is_config_name(const char *name)
{
    return text_has_suffix(name, ".json") || text_has_suffix(name, ".yaml") ||
           text_has_suffix(name, ".yml");
}

/* Direct entries only; a folder with such a name is none. */
static bool is_folder_blocking(const char *path, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static struct error *list_folder_blocking(const char *path, struct arena *arena, char **ret,
                                          size_t *ret_count)
{
    DIR *dir = opendir(path);
    if (!dir)
        return error_from_errno(errno, "unable to read directory \"%s\"", path);
    size_t count = 0;
    bool is_full = false;
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this stream */
    while (!is_full && (entry = readdir(dir))) {
        char *file = arena_printf(arena, "%s/%s", path, entry->d_name);
        if (!is_config_name(entry->d_name) || is_folder_blocking(file, entry))
            continue;
        is_full = count == CREDENTIAL_PROVIDER_MAX_FILES;
        if (!is_full)
            ret[count++] = file;
    }
    (void)closedir(dir);
    if (is_full)
        return error_new(ERROR_RESOURCE_EXHAUSTED,
                         "more than %d configuration files in directory \"%s\"",
                         CREDENTIAL_PROVIDER_MAX_FILES, path);
    if (count == 0)
        return error_new(ERROR_NOT_FOUND, "no configuration files found in directory \"%s\"", path);
    qsort(ret, count, sizeof(*ret), text_compare);
    *ret_count = count;
    return NULL;
}

static struct error *load_files_blocking(struct loading *loading, const char *path)
{
    struct stat status;
    if (path[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "credential provider config path is empty: "
                                                 "--image-credential-provider-config names it");
    if (stat(path, &status) != 0)
        return error_from_errno(errno, "unable to access path \"%s\"", path);
    char **files = arena_calloc(loading->arena, CREDENTIAL_PROVIDER_MAX_FILES, sizeof(*files));
    size_t count = 1;
    files[0] = arena_strdup(loading->arena, path);
    struct error *err = NULL;
    if (S_ISDIR(status.st_mode))
        err = list_folder_blocking(path, loading->arena, files, &count);
    for (size_t i = 0; !err && i < count; i++)
        err = load_file_blocking(loading, files[i]);
    return err;
}

static struct error *join(const struct loading *loading,
                          Credentialprovider__CredentialProviderConfig *all)
{
    size_t room = 0;
    for (size_t i = 0; i < loading->count; i++)
        room += loading->configs[i]->n_providers;
    all->providers = arena_calloc(loading->arena, room + 1, sizeof(void *));
    struct text_map names = {.arena = loading->arena};
    for (size_t i = 0; i < loading->count; i++) {
        for (size_t k = 0; k < loading->configs[i]->n_providers; k++) {
            Credentialprovider__CredentialProvider *provider = loading->configs[i]->providers[k];
            if (!text_map_add(&names, or_empty(provider->name), 0))
                return error_new(ERROR_INVALID_ARGUMENT,
                                 "duplicate provider name \"%s\" found in configuration file(s)",
                                 or_empty(provider->name));
            all->providers[all->n_providers++] = provider;
        }
    }
    return NULL;
}

static struct error *check_folder_blocking(const char *bin_dir)
{
    struct stat status;
    if (stat(bin_dir, &status) == 0)
        return NULL;
    if (errno == ENOENT)
        return error_new(ERROR_NOT_FOUND,
                         "plugin binary directory %s did not exist"
                         " (--image-credential-provider-bin-dir)",
                         bin_dir);
    return error_from_errno(errno, "error inspecting binary directory %s", bin_dir);
}

/* As Go's exec.LookPath(). */
static struct error *check_program_blocking(const char *bin_dir, const char *name)
{
    struct stat status;
    AUTO(free) char *path = xasprintf("%s/%s", bin_dir, name);
    if (stat(path, &status) != 0 && errno == ENOENT)
        return error_new(ERROR_NOT_FOUND, "plugin binary executable %s did not exist", path);
    if (stat(path, &status) != 0)
        return error_from_errno(errno, "error inspecting binary executable %s", path);
    if (S_ISDIR(status.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "error inspecting binary executable %s: is a directory", path);
    if (eaccess(path, X_OK) != 0)
        return error_from_errno(errno, "error inspecting binary executable %s", path);
    return NULL;
}

struct error *credential_provider_config_load_blocking(const char *path, const char *bin_dir,
                                                       bool has_tokens, struct arena *arena,
                                                       struct credential_provider_config *ret)
{
    struct error *err = check_folder_blocking(bin_dir);
    if (err)
        return err;
    struct loading loading = {.arena = arena, .hash = EVP_MD_CTX_new()};
    ASSERT(loading.hash);
    check(EVP_DigestInit_ex(loading.hash, EVP_sha256(), NULL));
    loading.configs = arena_calloc(arena, CREDENTIAL_PROVIDER_MAX_FILES, sizeof(void *));
    Credentialprovider__CredentialProviderConfig *config = arena_alloc(arena, sizeof(*config));
    credentialprovider__credential_provider_config__init(config);
    err = load_files_blocking(&loading, path);
    if (!err)
        err = join(&loading, config);
    if (!err)
        err = credential_provider_config_check(config, has_tokens);
    for (size_t i = 0; !err && i < config->n_providers; i++)
        err = check_program_blocking(bin_dir, config->providers[i]->name);
    if (!err) {
        ret->message = config;
        finish_hash(loading.hash, ret->hash);
    }
    EVP_MD_CTX_free(loading.hash);
    return err;
}
