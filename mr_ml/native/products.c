/* Products of sparse rows with coefficients, and of their transpose with rows.
 *
 * Entries are held in few bytes each, so that memory holds more of them; values are widened a window at a time, which
 * stays in the fastest cache and takes no longer than reading them wide would. */
#include "native.h"

#define WINDOW 1024

typedef struct {
    Entries entries;
    const int32_t *ends;
    Py_ssize_t n_rows, nnz;
    /* The values of entries first to last - 1 in full. */
    Py_ssize_t first, last;
    const double *values;
    double wide[WINDOW];
} Csr;

/* Returns 0 and sets an exception if that cannot be. */
static int open_csr(Csr *x, PyObject *item)
{
    memset(&x->entries, 0, sizeof x->entries);
    if (!open_entries(item, &x->entries))
        return 0;
    x->ends = x->entries.ends.view.buf;
    x->n_rows = items(&x->entries.ends);
    x->nnz = items(&x->entries.values);
    x->first = x->last = 0;
    int32_t before = 0;
    int ascend = !x->entries.shared && (x->n_rows ? x->ends[x->n_rows - 1] : 0) == x->nnz;
    for (Py_ssize_t i = 0; i < x->n_rows; i++) {
        ascend &= x->ends[i] >= before;
        before = x->ends[i];
    }
    if (!ascend)
        PyErr_SetString(PyExc_ValueError, "rows and entries do not fit together");
    return ascend;
}

/* Go on to the next window, if there is one. */
static int next_window(Csr *x)
{
    Py_ssize_t n = x->nnz - x->last < WINDOW ? x->nnz - x->last : WINDOW;
    x->first = x->last;
    x->last += n;
    x->values = x->wide;
    if (x->entries.numbers.size == 8)
        x->values = (const double *)x->entries.numbers.items + x->first;
    else
        widen_values(&x->entries.numbers, x->first, n, x->wide);
    return n > 0;
}

/* The entries of a row that are in the window. */
typedef struct {
    const void *ids;
    const double *values;
    Py_ssize_t n;
    int last; /* whether they are the row's last */
} Row;

static ALWAYS_INLINE Row row_in_window(const Csr *x, Py_ssize_t i, int id_size)
{
    Py_ssize_t start = i ? x->ends[i - 1] : 0, stop = x->ends[i];
    Py_ssize_t from = start > x->first ? start : x->first, to = stop < x->last ? stop : x->last;
    return (Row){(const char *)x->entries.ids.items + from * id_size, x->values + (from - x->first), to - from,
                 stop <= x->last};
}

static ALWAYS_INLINE Py_ssize_t id_at(const Row *row, Py_ssize_t e, int id_size)
{
    return id_size == 2 ? ((const uint16_t *)row->ids)[e] : ((const int32_t *)row->ids)[e];
}

typedef double Pair __attribute__((vector_size(16), aligned(8)));

static inline Pair load_pair(const double *at)
{
    Pair pair;
    memcpy(&pair, at, sizeof pair);
    return pair;
}

static inline void store_pair(double *at, Pair pair)
{
    memcpy(at, &pair, sizeof pair);
}

/* Outputs are done so many at a time: how many is known to the compiler, so that what belongs to a row is in registers. */
#define FOR_SOME_OUTPUTS(k_all, some)                                                                                  \
    {                                                                                                                  \
        Py_ssize_t first = 0;                                                                                          \
        for (; (k_all) - first >= 4; first += 4)                                                                       \
            some(4);                                                                                                   \
        if ((k_all) - first >= 2) {                                                                                    \
            some(2);                                                                                                   \
            first += 2;                                                                                                \
        }                                                                                                              \
        if (first < (k_all))                                                                                           \
            some(1);                                                                                                   \
    }

/* sums += the entries' values times their columns' coefficients, of k of the k_all outputs */
static ALWAYS_INLINE void dot_some(const Row *row, int id_size, Py_ssize_t k_all, Py_ssize_t k, const double *coef,
                                   double *sums)
{
    double sum[4];
    for (Py_ssize_t j = 0; j < k; j++)
        sum[j] = sums[j];
    for (Py_ssize_t e = 0; e < row->n; e++) {
        const double *w = coef + k_all * id_at(row, e, id_size);
        double v = row->values[e];
        for (Py_ssize_t j = 0; j < k; j++)
            sum[j] += v * w[j];
    }
    for (Py_ssize_t j = 0; j < k; j++)
        sums[j] = sum[j];
}

static ALWAYS_INLINE void dot_row(const Row *row, int id_size, Py_ssize_t k_all, const double *coef, double *sums)
{
#define DOT(k) dot_some(row, id_size, k_all, k, coef + first, sums + first)
    FOR_SOME_OUTPUTS(k_all, DOT)
#undef DOT
}

static ALWAYS_INLINE void dot_rows(Csr *x, int id_size, Py_ssize_t k_all, const double *coef, double *out)
{
    for (Py_ssize_t i = 0; next_window(x);)
        for (int whole = 1; whole && i < x->n_rows; i += whole) {
            Row row = row_in_window(x, i, id_size);
            whole = row.last;
            dot_row(&row, id_size, k_all, coef, out + i * k_all);
        }
}

/* What is known beforehand takes no time in the loops. */
EACH_PROCESSOR static void dot(Csr *x, Py_ssize_t k_all, const double *coef, double *out)
{
    memset(out, 0, (size_t)(x->n_rows * k_all) * sizeof *out);
    if (x->entries.ids.size == 4)
        dot_rows(x, 4, k_all, coef, out);
    else if (k_all == 1)
        dot_rows(x, 2, 1, coef, out);
    else if (k_all == 2)
        dot_rows(x, 2, 2, coef, out);
    else
        dot_rows(x, 2, k_all, coef, out);
}

PyDoc_STRVAR(csr_dot_doc, "csr_dot(entries, width, n_outputs, coef, out)\n\n"
                          "out (n_rows, n_outputs) = X coef, coef (n_features, n_outputs). All indices are in\n"
                          "0 .. width - 1: the caller vouches for that, since looking through them again and again\n"
                          "costs as much as a product.");

static PyObject *csr_dot(PyObject *self, PyObject *args)
{
    PyObject *item, *objects[2], *result = NULL;
    Py_ssize_t width, k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OnnOO", &item, &width, &k_all, &objects[0], &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    Csr x;
    if (!open_csr(&x, item) || !acquire(objects[0], &b[0], 8, 0) || !acquire(objects[1], &b[1], 8, 1))
        goto done;
    const double *coef = b[0].view.buf;
    double *out = b[1].view.buf;
    if (k_all < 1 || width < 0 || items(&b[0]) % k_all || items(&b[0]) / k_all < width ||
        items(&b[1]) != x.n_rows * k_all) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    dot(&x, k_all, coef, out);
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    close_entries(&x.entries);
    release(b, 2);
    return result;
}

/* The entries' columns of sums += value times slope, of k of the k_all outputs. If there are two or three sums side by
 * side, sums[..., 0] += value times slope, sums[..., 1] += squared value times bend, and sums[..., 2] += value times
 * bend. */
static ALWAYS_INLINE void pull_some(const Row *row, int id_size, Py_ssize_t k_all, Py_ssize_t k, const double *slope,
                                    const double *bend, int n_sums, double *sums)
{
    const Row here = *row;
    double slopes[4], bends[4];
    for (Py_ssize_t j = 0; j < k; j++) {
        slopes[j] = slope[j];
        bends[j] = n_sums > 1 ? bend[j] : 0;
    }
    for (Py_ssize_t e = 0; e < here.n; e++) {
        double v = here.values[e], square = v * v, *at = sums + n_sums * k_all * id_at(&here, e, id_size);
        for (Py_ssize_t j = 0; j < k; j++) {
            at[n_sums * j] += v * slopes[j];
            if (n_sums > 1)
                at[n_sums * j + 1] += square * bends[j];
            if (n_sums > 2)
                at[n_sums * j + 2] += v * bends[j];
        }
    }
}

/* The first two sums of one output lie in one register. */
static ALWAYS_INLINE void pull_pairs(const Row *row, int id_size, const double *slope, const double *bend, int n_sums,
                                     double *sums)
{
    const Row here = *row;
    const double second = *bend;
    const Pair both = {*slope, second};
    for (Py_ssize_t e = 0; e < here.n; e++) {
        double v = here.values[e], *at = sums + n_sums * id_at(&here, e, id_size);
        Pair powers = {v, v * v};
        store_pair(at, load_pair(at) + powers * both);
        if (n_sums == 3)
            at[2] += v * second;
    }
}

static ALWAYS_INLINE void pull_row(const Row *row, int id_size, Py_ssize_t k_all, const double *slope,
                                   const double *bend, int n_sums, double *sums)
{
    if (k_all == 1 && n_sums > 1) {
        pull_pairs(row, id_size, slope, bend, n_sums, sums);
        return;
    }
#define PULL(k)                                                                                                        \
    pull_some(row, id_size, k_all, k, slope + first, n_sums > 1 ? bend + first : NULL, n_sums, sums + n_sums * first)
    FOR_SOME_OUTPUTS(k_all, PULL)
#undef PULL
}

static ALWAYS_INLINE void pull_rows(Csr *x, int id_size, Py_ssize_t k_all, const double *slope, const double *bend,
                                    int n_sums, double *sums)
{
    for (Py_ssize_t i = 0; next_window(x);)
        for (int whole = 1; whole && i < x->n_rows; i += whole) {
            Row row = row_in_window(x, i, id_size);
            whole = row.last;
            pull_row(&row, id_size, k_all, slope + i * k_all, n_sums > 1 ? bend + i * k_all : NULL, n_sums, sums);
        }
}

static ALWAYS_INLINE void pull_all(Csr *x, Py_ssize_t k_all, const double *slope, const double *bend, int n_sums,
                                   double *sums)
{
    if (x->entries.ids.size == 4)
        pull_rows(x, 4, k_all, slope, bend, n_sums, sums);
    else if (k_all == 1)
        pull_rows(x, 2, 1, slope, bend, n_sums, sums);
    else
        pull_rows(x, 2, k_all, slope, bend, n_sums, sums);
}

EACH_PROCESSOR static void pull(Csr *x, Py_ssize_t k_all, const double *slope, const double *bend, int n_sums,
                                double *sums)
{
    if (n_sums == 3)
        pull_all(x, k_all, slope, bend, 3, sums);
    else if (n_sums == 2)
        pull_all(x, k_all, slope, bend, 2, sums);
    else
        pull_all(x, k_all, slope, NULL, 1, sums);
}

PyDoc_STRVAR(csr_pull_doc, "csr_pull(entries, width, n_outputs, slope, bend, cross, sums)\n\n"
                           "sums[..., 0] = X' slope and sums[..., 1] = (X o X)' bend in one sweep; slope and bend\n"
                           "(n_rows, n_outputs), sums (n_features, n_outputs, 2), zero at the start. The two lie side\n"
                           "by side because the way to a column's place in memory is what costs. With cross they are\n"
                           "three, sums[..., 2] = X' bend. Without a bend, None, sums = X' slope,\n"
                           "(n_features, n_outputs). The caller vouches for the width.");

static PyObject *csr_pull(PyObject *self, PyObject *args)
{
    PyObject *item, *objects[3], *result = NULL;
    Py_ssize_t width, k_all;
    int cross;
    (void)self;
    if (!PyArg_ParseTuple(args, "OnnOOpO", &item, &width, &k_all, &objects[0], &objects[1], &cross, &objects[2]))
        return NULL;
    Buffer b[3] = {{.held = 0}};
    Csr x;
    int both = objects[1] != Py_None;
    if (!open_csr(&x, item))
        goto done;
    for (int k = 0; k < 3; k++)
        if ((k != 1 || both) && !acquire(objects[k], &b[k], 8, k == 2))
            goto done;
    const double *slope = b[0].view.buf, *bend = both ? b[1].view.buf : NULL;
    double *sums = b[2].view.buf;
    int n_sums = !both ? 1 : cross ? 3 : 2;
    Py_ssize_t k_sums = n_sums * k_all;
    if (k_all < 1 || width < 0 || items(&b[2]) % k_sums || items(&b[2]) / k_sums < width ||
        items(&b[0]) != x.n_rows * k_all || (both && items(&b[1]) != items(&b[0]))) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    pull(&x, k_all, slope, bend, n_sums, sums);
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    close_entries(&x.entries);
    release(b, 3);
    return result;
}

PyMethodDef product_methods[] = {
    {"csr_dot", csr_dot, METH_VARARGS, csr_dot_doc},
    {"csr_pull", csr_pull, METH_VARARGS, csr_pull_doc},
    {NULL, NULL, 0, NULL},
};
