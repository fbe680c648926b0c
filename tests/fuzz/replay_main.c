/*
 * Replays a fuzz target's corpus without libFuzzer: every file of the given folders is one input,
 * and so is every beginning of a file up to a limit, since torn input is what a parser meets first.
 * Reports in cmocka's words, one case an input file.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_INPUT_BYTES = 1 << 20,
    MAX_TORN_BYTES = 512, /* how many beginnings of each file are tried */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy on the heap, so that the sanitizer sees a read beyond the end. */
static void run_input(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay_file(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t size = fread(buffer, 1, MAX_INPUT_BYTES, file);
    (void)fclose(file);
    printf("[ RUN      ] %s\n", path);
    (void)fflush(stdout); /* a crash shall name its input */
    for (size_t torn = 0; torn < size && torn < MAX_TORN_BYTES; torn++)
        run_input(buffer, torn);
    run_input(buffer, size);
}

static size_t replay_folder(const char *folder, uint8_t *buffer)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path)) {
            (void)fprintf(stderr, "%s/%s: the path is too long\n", folder, entry->d_name);
            exit(EXIT_FAILURE);
        }
        replay_file(path, buffer);
        count++;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    uint8_t *buffer = malloc(MAX_INPUT_BYTES);
    if (!buffer)
        abort();
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i], buffer);
    free(buffer);
    if (count == 0) {
        (void)fprintf(stderr, "no inputs: a fuzz target needs a corpus\n");
        return EXIT_FAILURE;
    }
    printf("[  PASSED  ] %zu test(s).\n", count);
    return EXIT_SUCCESS;
}
