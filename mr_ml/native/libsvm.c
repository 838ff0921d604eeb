/* libsvm text. */
#include "numbers.h"

PyDoc_STRVAR(count_bytes_doc, "count_bytes(text, characters)\n\nList of how often each of the characters is in the text.");

/* So many bytes that their counts fit a byte, which lets the compiler count many at a time. */
#define COUNTED_AT_ONCE 192

static PyObject *count_bytes(PyObject *self, PyObject *args)
{
    Py_buffer text, characters;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*", &text, &characters))
        return NULL;
    const unsigned char *wanted = characters.buf;
    PyObject *result = PyList_New(characters.len);
    Py_ssize_t *counts = PyMem_Calloc((size_t)characters.len + 1, sizeof *counts);
    if (!counts)
        PyErr_NoMemory();
    if (!result || !counts)
        goto failed;
    const unsigned char *p = text.buf, *stop = p + text.len;
    Py_BEGIN_ALLOW_THREADS
    for (; stop - p >= COUNTED_AT_ONCE; p += COUNTED_AT_ONCE)
        for (Py_ssize_t k = 0; k < characters.len; k++) {
            unsigned char c = wanted[k], n = 0;
            for (int i = 0; i < COUNTED_AT_ONCE; i++)
                n = (unsigned char)(n + (p[i] == c));
            counts[k] += n;
        }
    for (; p < stop; p++)
        for (Py_ssize_t k = 0; k < characters.len; k++)
            counts[k] += *p == wanted[k];
    Py_END_ALLOW_THREADS
    for (Py_ssize_t k = 0; k < characters.len; k++) {
        PyObject *count = PyLong_FromSsize_t(counts[k]);
        if (!count)
            goto failed;
        PyList_SetItem(result, k, count);
    }
    goto done;
failed:
    Py_CLEAR(result);
done:
    PyMem_Free(counts);
    PyBuffer_Release(&text);
    PyBuffer_Release(&characters);
    return result;
}

PyDoc_STRVAR(read_libsvm_doc,
             "read_libsvm(text, start, stop, lowest_id, highest_id, base, labels_required, n_rows, n_values, n_lines,\n"
             "labels, row_lines, indptr, indices, values)\n\n"
             "Append the rows of the lines in text[start:stop] to the arrays, which hold n_rows rows, n_values entries\n"
             "of n_lines lines, and return the new (n_rows, n_values, n_lines, least id, largest id), ids as written;\n"
             "or None if anything is unusual: comments, query ids, or whatever must be refused. stop follows a line feed.");

static PyObject *read_libsvm(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    Py_buffer whole;
    Py_ssize_t start, stop_at, n_rows, n_values, n_lines;
    long long lowest, highest, base;
    int labels_required;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nnLLLpnnnOOOOO", &whole, &start, &stop_at, &lowest, &highest, &base,
                          &labels_required, &n_rows, &n_values, &n_lines, &objects[0], &objects[1], &objects[2],
                          &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {8, 8, 8, 4, 8};
    Buffer out[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    double *labels = out[0].view.buf, *values = out[4].view.buf;
    int64_t *row_lines = out[1].view.buf, *indptr = out[2].view.buf;
    int32_t *indices = out[3].view.buf;
    Py_ssize_t max_rows = items(&out[0]), max_values = items(&out[3]);
    const char *text = whole.buf;
    if (items(&out[1]) != max_rows || items(&out[2]) != max_rows + 1 || items(&out[4]) != max_values || n_rows < 0 ||
        n_values < 0 || start < 0 || stop_at < start || stop_at > whole.len || base < 0 || base > 1 || lowest < 0 ||
        highest - base > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    if (stop_at > start && text[stop_at - 1] != '\n')
        goto unusual;
    const char *p = text + start, *stop = text + stop_at;
    int64_t least = INT64_MAX, largest = -1;
    while (p < stop) { /* a line; its line feed ends every loop below */
        const char *end;
        while (is_blank(*p))
            p++;
        if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
            p += *p == '\r' ? 2 : 1;
            n_lines++;
            continue;
        }
        if (n_rows >= max_rows)
            goto unusual;
        double label = read_number(p, stop, &end);
        if (end && *end == ':' && !labels_required)
            label = NAN;
        else if (!end || !(is_blank(*end) || *end == '\n' || (*end == '\r' && end[1] == '\n')))
            goto unusual;
        else {
            if (label >= 9007199254740992.0 || label <= -9007199254740992.0) { /* 2^53: an integer may be rounded */
                p += *p == '-' || *p == '+';
                while (is_digit((unsigned char)*p))
                    p++;
                if (p == end)
                    goto unusual;
            }
            p = end;
        }
        int64_t before = lowest - 1;
        for (;;) {
            while (is_blank(*p))
                p++;
            if (*p == '\n' || (*p == '\r' && p[1] == '\n'))
                break;
            uint64_t id = 0;
            int n = stop - p >= 8 ? read_digits(p, &id) : 0;
            p += n;
            if (!n || n == 8) {
                const char *first = p;
                while (is_digit((unsigned char)*p) && p - first < 4)
                    id = id * 10 + (uint64_t)(*p++ - '0');
                if (!n && p - first == 4)
                    while (is_digit((unsigned char)*p) && p - first < 12)
                        id = id * 10 + (uint64_t)(*p++ - '0');
                if (p == first && !n)
                    goto unusual;
            }
            if (*p != ':' || (int64_t)id <= before || (int64_t)id > highest || n_values >= max_values)
                goto unusual;
            double value = read_value(++p, stop, &end);
            if (!end || !(is_blank(*end) || *end == '\n' || (*end == '\r' && end[1] == '\n')))
                goto unusual;
            p = end;
            if (before < lowest && (int64_t)id < least)
                least = (int64_t)id;
            before = (int64_t)id;
            indices[n_values] = (int32_t)(before - base);
            values[n_values++] = value + 0.0; /* -0.0 becomes 0.0 */
        }
        if (before >= lowest && before > largest)
            largest = before;
        p += *p == '\r' ? 2 : 1;
        labels[n_rows] = label + 0.0;
        row_lines[n_rows] = n_lines++;
        indptr[++n_rows] = n_values;
    }
    result = Py_BuildValue("nnnLL", n_rows, n_values, n_lines, (long long)least, (long long)largest);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 5);
    PyBuffer_Release(&whole);
    return result;
}

PyMethodDef libsvm_methods[] = {
    {"count_bytes", count_bytes, METH_VARARGS, count_bytes_doc},
    {"read_libsvm", read_libsvm, METH_VARARGS, read_libsvm_doc},
    {NULL, NULL, 0, NULL},
};
