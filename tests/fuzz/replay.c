/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over files, and over all files of folders, where the compiler has no
 * libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (4u << 20) /* more than any target takes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory of exactly the file's size, so that the sanitizers see a read past its end. */
static int run_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");
	int failed = !data || !file || fread(data, 1, size, file) != size;

	if (failed)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	else
		LLVMFuzzerTestOneInput(data, size);
	if (file)
		fclose(file);
	free(data);
	return failed ? -1 : 1;
}

static int run(const char *path);

/* How many files were run; -1 if one could not be read. */
static int run_folder(const char *path)
{
	struct dirent **names;
	int found = scandir(path, &names, NULL, alphasort), total = 0;

	for (int i = 0; i < found; i++) {
		char below[4096];
		int count = 0;

		snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			count = run(below);
		total = total < 0 || count < 0 ? -1 : total + count;
		free(names[i]);
	}
	if (found >= 0)
		free(names);
	return found < 0 ? -1 : total;
}

static int run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return run_folder(path);
	return st.st_size > INPUT_MAX_BYTES ? 0 : run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = run(argv[i]);

		total = total < 0 || count < 0 ? -1 : total + count;
	}
	printf("%d inputs\n", total);
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
