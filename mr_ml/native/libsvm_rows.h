/* The rows of libsvm text that holds nothing unusual. */
#ifndef MR_ML_LIBSVM_ROWS_H
#define MR_ML_LIBSVM_ROWS_H

#include "numbers.h"

/* Where features are read by shuffling bytes: see libsvm_shuffled.c. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define SHUFFLES
#endif

typedef struct {
    /* text is readable from `text` to `stop`; rows are those from `start` on; a line feed ends them */
    const char *text, *start, *stop;
    int64_t lowest, highest, base;
    int labels_required;
    Py_ssize_t max_rows, max_values;
    /* what there is so far */
    Py_ssize_t n_rows, n_values, n_lines;
    double *labels, *values;
    int64_t *row_lines, *indptr;
    int32_t *indices;
    /* ids as written */
    int64_t least, largest;
} LibsvmText;

/* Append the rows of a text; 0 if anything is unusual. */
int read_rows_shuffled(LibsvmText *t);
/* To be called once before. */
void fill_shuffles(void);

static inline int ends_token(const char *p)
{
    return is_blank(*p) || *p == '\n' || (*p == '\r' && p[1] == '\n');
}

/* An id, its colon and its value at p, however many digits there are: where they end, or NULL if they are none. */
static inline const char *read_any_feature(const char *p, const char *stop, uint64_t *id, double *value)
{
    uint64_t number = 0;
    const char *end;
    int n = stop - p >= 8 ? read_digits(p, &number) : 0;
    p += n;
    if (!n || n == 8) {
        const char *first = p;
        while (is_digit((unsigned char)*p) && p - first < 4)
            number = number * 10 + (uint64_t)(*p++ - '0');
        if (!n && p - first == 4)
            while (is_digit((unsigned char)*p) && p - first < 12)
                number = number * 10 + (uint64_t)(*p++ - '0');
        if (p == first && !n)
            return NULL;
    }
    if (*p != ':')
        return NULL;
    *id = number;
    *value = read_value(p + 1, stop, &end);
    return end;
}

/* So many bytes are looked at where a feature may be read quickly. */
#define FAST_BYTES 16

/* Define the function that reads rows. read_feature(p, &id, &value) does as read_any_feature does of what is plain, or
 * returns NULL; FAST_BYTES from p on are readable. */
#define READ_ROWS(scope, name, read_feature)                                                                           \
    scope int name(LibsvmText *t)                                                                                      \
    {                                                                                                                  \
        const char *p = t->start, *const stop = t->stop, *end;                                                         \
        Py_ssize_t n_values = t->n_values;                                                                             \
        const Py_ssize_t max_values = t->max_values;                                                                   \
        const int64_t lowest = t->lowest, highest = t->highest, base = t->base;                                        \
        int32_t *const indices = t->indices;                                                                           \
        double *const values = t->values;                                                                              \
        while (p < stop) { /* a line; its line feed ends every loop below */                                           \
            while (is_blank(*p))                                                                                       \
                p++;                                                                                                   \
            if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {                                                          \
                p += *p == '\r' ? 2 : 1;                                                                               \
                t->n_lines++;                                                                                          \
                continue;                                                                                              \
            }                                                                                                          \
            if (t->n_rows >= t->max_rows)                                                                              \
                return 0;                                                                                              \
            double label = read_number(p, stop, &end);                                                                 \
            if (end && *end == ':' && !t->labels_required)                                                             \
                label = NAN;                                                                                           \
            else if (!end || !ends_token(end))                                                                         \
                return 0;                                                                                              \
            else {                                                                                                     \
                /* 2^53: an integer may be rounded */                                                                  \
                if (label >= 9007199254740992.0 || label <= -9007199254740992.0) {                                     \
                    p += *p == '-' || *p == '+';                                                                       \
                    while (is_digit((unsigned char)*p))                                                                \
                        p++;                                                                                           \
                    if (p == end)                                                                                      \
                        return 0;                                                                                      \
                }                                                                                                      \
                p = end;                                                                                               \
            }                                                                                                          \
            int64_t before = lowest - 1;                                                                               \
            for (;;) {                                                                                                 \
                while (is_blank(*p))                                                                                   \
                    p++;                                                                                               \
                if (*p == '\n' || (*p == '\r' && p[1] == '\n'))                                                        \
                    break;                                                                                             \
                uint64_t id;                                                                                           \
                double value;                                                                                          \
                end = stop - p >= FAST_BYTES ? read_feature(p, &id, &value) : NULL;                                    \
                if (!end && !(end = read_any_feature(p, stop, &id, &value)))                                           \
                    return 0;                                                                                          \
                if ((int64_t)id <= before || (int64_t)id > highest || n_values >= max_values || !ends_token(end))      \
                    return 0;                                                                                          \
                p = end;                                                                                               \
                if (before < lowest && (int64_t)id < t->least)                                                         \
                    t->least = (int64_t)id;                                                                            \
                before = (int64_t)id;                                                                                  \
                indices[n_values] = (int32_t)(before - base);                                                          \
                values[n_values++] = value + 0.0; /* -0.0 becomes 0.0 */                                               \
            }                                                                                                          \
            if (before >= lowest && before > t->largest)                                                               \
                t->largest = before;                                                                                   \
            p += *p == '\r' ? 2 : 1;                                                                                   \
            t->labels[t->n_rows] = label + 0.0;                                                                        \
            t->row_lines[t->n_rows] = t->n_lines++;                                                                    \
            t->indptr[++t->n_rows] = t->n_values = n_values;                                                           \
        }                                                                                                              \
        return 1;                                                                                                      \
    }

#endif
