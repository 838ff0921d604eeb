/* Hashes of rows, and rows by number. */
#include "native.h"

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

MULTIPLIES_64 static uint64_t sum_of_mixes(const uint64_t *values, const int32_t *indices, int64_t n, uint64_t start,
                                           uint64_t column)
{
    uint64_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += mix(values[k] + start + ((uint64_t)(int64_t)indices[k] + 1) * column);
    return sum;
}

PyDoc_STRVAR(hash_entries_doc, "hash_entries(start, column, indptr, indices, values, out)\n\n"
                               "out[i] = sum over row i's entries of mix(value bits + start + (id + 1) column).");

static PyObject *hash_entries(PyObject *self, PyObject *args)
{
    PyObject *objects[4];
    unsigned long long start, column;
    (void)self;
    if (!PyArg_ParseTuple(args, "KKOOOO", &start, &column, &objects[0], &objects[1], &objects[2], &objects[3]))
        return NULL;
    static const Py_ssize_t sizes[4] = {8, 4, 8, 8};
    Buffer b[4] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 4; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 3))
            goto done;
    const int64_t *indptr = b[0].view.buf;
    const int32_t *indices = b[1].view.buf;
    const uint64_t *values = b[2].view.buf;
    uint64_t *out = b[3].view.buf;
    Py_ssize_t n = items(&b[3]), nnz = items(&b[1]);
    if (items(&b[0]) != n + 1 || items(&b[2]) != nnz) {
        PyErr_SetString(PyExc_ValueError, "indptr, indices, values and out do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (indptr[i] < 0 || indptr[i + 1] > nnz) {
            PyErr_SetString(PyExc_ValueError, "indptr points outside the entries");
            goto done;
        }
        out[i] = sum_of_mixes(values + indptr[i], indices + indptr[i], indptr[i + 1] - indptr[i], start, column);
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 4);
    return result;
}

/* Numbers of a matrix that are in full at a time. */
#define WIDENED 512

MULTIPLIES_64 static uint64_t sum_of_nonzero_mixes(const double *values, Py_ssize_t n, uint64_t start, uint64_t column)
{
    uint64_t sum = 0;
    for (Py_ssize_t k = 0; k < n; k++) {
        uint64_t bits;
        memcpy(&bits, values + k, sizeof bits);
        /* without its sign zero is zero */
        sum += bits << 1 ? mix(bits + start + (uint64_t)k * column) : 0;
    }
    return sum;
}

PyDoc_STRVAR(hash_matrix_doc, "hash_matrix(start, column, values, is_float, scale, out)\n\n"
                              "As hash_entries, of the entries of a matrix of as many rows as out, other than zero.");

static PyObject *hash_matrix(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    unsigned long long start, column;
    int is_float;
    double scale;
    (void)self;
    if (!PyArg_ParseTuple(args, "KKOpdO", &start, &column, &objects[0], &is_float, &scale, &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 0, 0) || !acquire(objects[1], &b[1], 8, 1))
        goto done;
    Held held = held_values(&b[0], is_float, scale);
    uint64_t *out = b[1].view.buf;
    Py_ssize_t n = items(&b[1]), width = n ? items(&b[0]) / n : 0;
    if (!are_values(&held) || width * n != items(&b[0])) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    double row[WIDENED];
    for (Py_ssize_t i = 0; i < n; i++) {
        out[i] = 0;
        for (Py_ssize_t at = 0; at < width; at += WIDENED) {
            Py_ssize_t count = width - at < WIDENED ? width - at : WIDENED;
            widen_values(&held, i * width + at, count, row);
            out[i] += sum_of_nonzero_mixes(row, count, start + (uint64_t)(at + 1) * column, column);
        }
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

int open_entries(PyObject *item, Entries *e)
{
    PyObject *objects[3];
    int is_float;
    double scale;
    if (!PyArg_ParseTuple(item, "OOOpd", &objects[0], &objects[1], &objects[2], &is_float, &scale) ||
        !acquire(objects[0], &e->ends, 4, 0) || !acquire(objects[1], &e->indices, 0, 0) ||
        !acquire(objects[2], &e->values, 0, 0))
        return 0;
    e->ids = held_ids(&e->indices);
    e->numbers = held_values(&e->values, is_float, scale);
    e->shared = items(&e->indices) != items(&e->values);
    if (are_ids(&e->ids) && are_values(&e->numbers) &&
        (!e->shared || items(&e->indices) * items(&e->ends) == items(&e->values)))
        return 1;
    PyErr_SetString(PyExc_ValueError, "entries of unknown types or different number");
    return 0;
}

void close_entries(Entries *e)
{
    release(&e->ends, 1);
    release(&e->indices, 1);
    release(&e->values, 1);
}

/* How many entries a row has, and where they begin; negative if they are not there. */
static inline int64_t find_row(const Entries *pieces, Py_ssize_t n_pieces, int32_t piece, int32_t row, int64_t *first)
{
    if (piece < 0 || piece >= n_pieces || row < 0 || row >= items(&pieces[piece].ends))
        return -1;
    const int32_t *ends = pieces[piece].ends.view.buf;
    *first = row ? ends[row - 1] : 0;
    int64_t count = ends[row] - *first;
    if (*first < 0 || ends[row] > items(&pieces[piece].values))
        return -1;
    return pieces[piece].shared && count != items(&pieces[piece].indices) ? -1 : count;
}

/* Rows lie far apart, so that the processor does not foresee which is next: it is told, this many rows ahead, and for
 * so many bytes of a row; from there on it foresees. */
#define ROWS_AHEAD 4
#define FETCHED_BYTES 512

/* Inlined at once, since compilers take a function that only fetches for one that does nothing. */
static ALWAYS_INLINE void fetch(const Buffer *b, int64_t first, int64_t count)
{
    const char *p = (const char *)b->view.buf + first * b->view.itemsize;
    int64_t n = count * b->view.itemsize;
    for (int64_t at = 0; at < n && at < FETCHED_BYTES; at += 64)
        __builtin_prefetch(p + at);
}

static ALWAYS_INLINE void fetch_row(const Entries *pieces, Py_ssize_t n_pieces, int32_t piece, int32_t row)
{
    int64_t first, count = find_row(pieces, n_pieces, piece, row, &first);
    if (count > 0) {
        if (!pieces[piece].shared)
            fetch(&pieces[piece].indices, first, count);
        fetch(&pieces[piece].values, first, count);
    }
}

PyDoc_STRVAR(gather_rows_doc, "gather_rows(pieces, piece, row, indptr, indices, values)\n\n"
                              "Row i of a CSR matrix is row row[i] of pieces[piece[i]]; a piece is (ends, indices, values,\n"
                              "whether these are floats, what they are divided by if not). Without indices and values,\n"
                              "only indptr is written.");

static PyObject *gather_rows(PyObject *self, PyObject *args)
{
    PyObject *given, *objects[5], *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!OOOOO", &PyList_Type, &given, &objects[0], &objects[1], &objects[2], &objects[3],
                          &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {4, 4, 8, 4, 8};
    Buffer b[5] = {{.held = 0}};
    Py_ssize_t n_pieces = PyList_Size(given), opened = 0;
    int n_buffers = objects[3] == Py_None ? 3 : 5;
    Entries *pieces = PyMem_Calloc((size_t)n_pieces + 1, sizeof *pieces);
    if (!pieces) {
        PyErr_NoMemory();
        goto done;
    }
    for (int k = 0; k < n_buffers; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 2))
            goto done;
    for (; opened < n_pieces; opened++)
        if (!open_entries(PyList_GetItem(given, opened), &pieces[opened])) {
            opened++; /* some of its buffers may be held */
            goto done;
        }
    const int32_t *piece = b[0].view.buf, *row = b[1].view.buf;
    int64_t *indptr = b[2].view.buf, at = 0;
    int32_t *indices = n_buffers == 5 ? b[3].view.buf : NULL;
    double *values = n_buffers == 5 ? b[4].view.buf : NULL;
    Py_ssize_t n = items(&b[0]), room = n_buffers == 5 ? items(&b[3]) : PY_SSIZE_T_MAX;
    if (items(&b[1]) != n || items(&b[2]) != n + 1 || (n_buffers == 5 && items(&b[4]) != room)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    indptr[0] = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t first, count = find_row(pieces, n_pieces, piece[i], row[i], &first);
        if (count < 0 || at + count > room)
            goto outside;
        if (indices) {
            const Entries *e = pieces + piece[i];
            if (i + ROWS_AHEAD < n)
                fetch_row(pieces, n_pieces, piece[i + ROWS_AHEAD], row[i + ROWS_AHEAD]);
            widen_ids(&e->ids, e->shared ? 0 : first, count, indices + at);
            widen_values(&e->numbers, first, count, values + at);
        }
        indptr[i + 1] = at += count;
    }
    result = Py_None;
    Py_INCREF(result);
    goto done;
outside:
    PyErr_SetString(PyExc_ValueError, "a row or its entries are out of range");
done:
    for (Py_ssize_t k = 0; k < opened; k++)
        close_entries(&pieces[k]);
    PyMem_Free(pieces);
    release(b, 5);
    return result;
}

PyMethodDef row_methods[] = {
    {"hash_entries", hash_entries, METH_VARARGS, hash_entries_doc},
    {"hash_matrix", hash_matrix, METH_VARARGS, hash_matrix_doc},
    {"gather_rows", gather_rows, METH_VARARGS, gather_rows_doc},
    {NULL, NULL, 0, NULL},
};
