#include "image/pull_records_disk.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#define FILE_MODE 0600

/* Ours and a kubelet's temporary files, and whatever else lies there, are not looked at. */
static bool is_file_name(const char *name)
{
    return text_has_prefix(name, "sha256-") && strlen(name) == PULL_RECORD_NAME_SIZE - 1;
}

static struct error *decode(struct str text, enum pull_folder folder, struct arena *arena,
                            struct pull_record *ret_record, const char **ret_image,
                            bool *ret_is_old)
{
    return folder == PULL_FOLDER_PULLED ? pull_record_decode(text, arena, ret_record, ret_is_old)
                                        : pull_intent_decode(text, arena, ret_image, ret_is_old);
}

struct error *pull_disk_write_blocking(const char *dir, const char *name, struct str text)
{
    AUTO(free) char *path = path_join(dir, name);
    return fd_write_file_blocking(path, text, FILE_MODE);
}

struct error *pull_disk_remove_blocking(const char *dir, const char *name)
{
    AUTO(free) char *path = path_join(dir, name);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_from_errno(errno, "removing %s", path);
    return NULL;
}

/* The file is named after what it is about: another's content is no content (and a kubelet takes
 * it for none). */
static struct error *check_key(const char *name, const char *key)
{
    char right[PULL_RECORD_NAME_SIZE];
    pull_record_name(key, right);
    if (strcmp(name, right) == 0)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "it is about \"%s\", which belongs into %s", key,
                     right);
}

/* @file->text is there: is it what it should be? What is of an old version is written anew. */
static struct error *check_text(const char *dir, enum pull_folder folder, struct pull_file *file,
                                struct arena *arena)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct pull_record record = {0};
    const char *image = "";
    bool is_old = false;
    struct error *err = decode(file->text, folder, scratch, &record, &image, &is_old);
    if (!err)
        err = check_key(file->name, folder == PULL_FOLDER_PULLED ? record.image_ref : image);
    if (err || !is_old)
        return err;
    AUTO(buf) struct buf text;
    buf_init(&text, PULL_RECORD_MAX_BYTES);
    err = folder == PULL_FOLDER_PULLED ? pull_record_encode(&record, &text)
                                       : pull_intent_encode(image, &text);
    if (!err)
        err = pull_disk_write_blocking(dir, file->name, buf_str(&text));
    if (!err)
        file->text = str_from(arena_strndup(arena, buf_text(&text), text.len));
    return err;
}

void pull_disk_read_blocking(const char *dir, enum pull_folder folder, struct arena *arena,
                             struct pull_file *ret)
{
    AUTO(buf) struct buf text;
    buf_init(&text, PULL_RECORD_MAX_BYTES);
    AUTO(free) char *path = path_join(dir, ret->name);
    AUTO(error) struct error *err = fd_read_file_blocking(path, &text);
    ret->state = PULL_FILE_ABSENT;
    if (error_is(err, ERROR_NOT_FOUND))
        return;
    if (!err) {
        ret->text =
            (struct str){.ptr = arena_strndup(arena, buf_text(&text), text.len), .len = text.len};
        err = check_text(dir, folder, ret, arena);
    }
    ret->state = err ? PULL_FILE_DAMAGED : PULL_FILE_READABLE;
    if (err)
        ret->problem = arena_strdup(arena, err->message);
}

struct error *pull_disk_list_blocking(const char *dir, enum pull_folder folder, size_t max_files,
                                      struct arena *arena, struct pull_listing *ret)
{
    size_t bytes = 0;
    *ret = (struct pull_listing){0};
    DIR *stream = opendir(dir);
    if (!stream)
        return error_from_errno(errno, "opening %s", dir);
    struct pull_file *files = arena_calloc(arena, max_files, sizeof(*files));
    ret->files = files;
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(stream))) { /* NOLINT(concurrency-mt-unsafe): the stream is ours */
        if (!is_file_name(entry->d_name))
            continue;
        ret->n_on_disk++;
        if (ret->count == max_files || bytes > PULL_LIST_MAX_BYTES)
            continue;
        struct pull_file *file = &files[ret->count];
        memcpy(file->name, entry->d_name, sizeof(file->name));
        pull_disk_read_blocking(dir, folder, arena, file);
        ret->count += file->state != PULL_FILE_ABSENT;
        bytes += file->text.len;
        errno = 0;
    }
    struct error *err = errno != 0 ? error_from_errno(errno, "listing %s", dir) : NULL;
    (void)closedir(stream);
    return err;
}

struct error *pull_disk_merge_blocking(const char *dir, const struct pull_proof *proof,
                                       int64_t now_s, struct arena *arena, struct pull_file *ret)
{
    struct pull_record old = {0}, merged;
    bool is_old = false;
    pull_record_name(proof->image_ref, ret->name);
    pull_disk_read_blocking(dir, PULL_FOLDER_PULLED, arena, ret);
    if (ret->state == PULL_FILE_READABLE)
        error_ignore(pull_record_decode(ret->text, arena, &old, &is_old), "it has been decoded");
    if (!pull_record_merge(ret->state == PULL_FILE_READABLE ? &old : NULL, proof, now_s, arena,
                           &merged))
        return NULL;
    AUTO(buf) struct buf text;
    buf_init(&text, PULL_RECORD_MAX_BYTES);
    struct error *err = pull_record_encode(&merged, &text);
    if (!err)
        err = pull_disk_write_blocking(dir, ret->name, buf_str(&text));
    if (err)
        return err;
    ret->state = PULL_FILE_READABLE;
    ret->text =
        (struct str){.ptr = arena_strndup(arena, buf_text(&text), text.len), .len = text.len};
    return NULL;
}

static int compare_texts(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

/* True when the record is to stay. */
static bool is_needed(const struct pull_file *file, const struct pull_prune *prune,
                      struct arena *arena)
{
    struct pull_record record = {0};
    bool is_old = false;
    if (file->state != PULL_FILE_READABLE)
        return true;
    error_ignore(pull_record_decode(file->text, arena, &record, &is_old), "it has been decoded");
    return record.updated_s >= prune->before_s ||
           (prune->n_ids > 0 && bsearch(record.image_ref, prune->ids, prune->n_ids,
                                        sizeof(*prune->ids), compare_texts));
}

struct error *pull_disk_prune_blocking(const char *dir, struct arena *arena,
                                       struct pull_prune *prune)
{
    struct pull_listing listing;
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct error *err =
        pull_disk_list_blocking(dir, PULL_FOLDER_PULLED, PULL_PRUNE_MAX_FILES, scratch, &listing);
    prune->names = arena_calloc(arena, listing.count + 1, sizeof(*prune->names));
    prune->n_names = 0;
    for (size_t i = 0; !err && i < listing.count; i++) {
        const struct pull_file *file = &listing.files[i];
        if (is_needed(file, prune, scratch))
            continue;
        err = pull_disk_remove_blocking(dir, file->name);
        if (!err)
            prune->names[prune->n_names++] = arena_strdup(arena, file->name);
    }
    return err;
}
