-- schema --
-- what an application of this size has: keys of every kind, foreign keys, unique columns, all storage classes
CREATE TABLE customers(
    id INTEGER PRIMARY KEY,
    branch INTEGER NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    newsletter BOOLEAN NOT NULL DEFAULT 0,
    born DATE);
CREATE INDEX customers_by_branch ON customers(branch, id);
CREATE TABLE products(
    id INTEGER PRIMARY KEY,
    sku TEXT NOT NULL UNIQUE,
    price REAL NOT NULL,
    stock INTEGER NOT NULL DEFAULT 0,
    picture BLOB,
    attributes JSON);
CREATE TABLE orders(
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers(id) ON UPDATE CASCADE ON DELETE CASCADE,
    status TEXT NOT NULL DEFAULT 'new',
    created_at TIMESTAMP NOT NULL);
CREATE INDEX orders_by_customer ON orders(customer_id);
CREATE TABLE order_items(
    order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products(id),
    quantity INTEGER NOT NULL,
    price REAL NOT NULL,
    PRIMARY KEY(order_id, line));
CREATE TABLE events(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TIMESTAMP NOT NULL,
    payload JSON NOT NULL);
CREATE TABLE settings(
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL) WITHOUT ROWID;

-- seed_customers --
-- some years of business: customers $1, spread over $2 branches
INSERT INTO customers
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
SELECT i, i % $2, 'customer' || i || '@example.org', 'Jürgen Übel the ' || i || 'th', i % 3 = 0,
    date('1950-01-01', '+' || (i * 7 % 20000) || ' days') FROM n

-- seed_products --
-- products $1, every one with a picture and attributes
INSERT INTO products
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
SELECT i, 'SKU-' || i, (i * 37 % 9973) / 100.0, 1000, randomblob(2000 + i % 2000),
    '{"colour": "grün", "weight": ' || (i % 50) || '.5}' FROM n

-- seed_orders --
-- orders $1 by customers $2
INSERT INTO orders
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
SELECT i, 1 + i % $2, CASE i % 10 WHEN 0 THEN 'cancelled' ELSE 'shipped' END,
    strftime('%Y-%m-%d %H:%M:%f', '2020-01-01', '+' || (i * 97) || ' seconds') FROM n

-- seed_items --
-- the items of all orders, of products $1
INSERT INTO order_items
SELECT o.id, line.value, 1 + (o.id * 7 + line.value) % $1, 1 + o.id % 3, (o.id * 13 % 9973) / 100.0
FROM orders o, (SELECT 1 AS value UNION ALL SELECT 2 UNION ALL SELECT 3) line
WHERE line.value <= 2 + o.id % 2

-- seed_events --
-- events $1 of the past
INSERT INTO events(at, payload)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
SELECT strftime('%Y-%m-%d %H:%M:%f', '2020-01-01', '+' || (i * 97) || ' seconds'),
    '{"what": "seeded", "number": ' || i || '}' FROM n

-- last_event --
-- the newest event: its number, and the time just before the transaction that wrote it was committed
SELECT id, at FROM events ORDER BY id DESC LIMIT 1

-- events_since --
-- how many transactions have been recorded after an event
SELECT count(*) FROM events WHERE id > $1

-- add_event --
-- every transaction ends with one, so that a lost one would be missed
INSERT INTO events(at, payload) VALUES($1, $2)

-- pick_customer --
-- the first customer of a branch from some id on
SELECT id FROM customers WHERE branch = $1 AND id >= $2 ORDER BY id LIMIT 1

-- pick_order --
-- the first order of a branch from some customer on
SELECT o.id FROM customers c JOIN orders o ON o.customer_id = c.id
WHERE c.branch = $1 AND c.id >= $2 ORDER BY c.id, o.id LIMIT 1

-- add_customer --
-- a customer with an e-mail address that is new
INSERT INTO customers(branch, email, name, newsletter, born) VALUES($1, $2, $3, $4, $5)

-- toggle_newsletter --
-- a boolean that changes
UPDATE customers SET newsletter = NOT newsletter WHERE id = $1

-- renumber_customer --
-- a key that changes, and takes the foreign keys along
UPDATE customers SET id = -id WHERE id = $1

-- replace_guest --
-- the row with the same address goes, with its orders, and none of its DELETE triggers fires
INSERT OR REPLACE INTO customers(branch, email, name, newsletter, born) VALUES($1, $2, $3, $4, $5)

-- delete_customer --
-- a customer with all orders
DELETE FROM customers WHERE id = $1

-- add_order --
-- an order without items yet
INSERT INTO orders(customer_id, created_at) VALUES($1, $2) RETURNING id

-- add_item --
-- an item at the product's price of the moment
INSERT INTO order_items(order_id, line, product_id, quantity, price)
SELECT $1, $2, id, $3, price FROM products WHERE id = $4

-- move_item --
-- half of a compound key that changes
UPDATE order_items SET line = (SELECT max(line) + 1 FROM order_items WHERE order_id = $1)
WHERE order_id = $1 AND line = (SELECT min(line) FROM order_items WHERE order_id = $1)

-- set_status --
-- an order goes on
UPDATE orders SET status = $2 WHERE id = $1

-- delete_order --
-- an order with its items
DELETE FROM orders WHERE id = $1

-- take_stock --
-- sold
UPDATE products SET stock = stock - $2 WHERE id = $1

-- set_price --
-- a real number
UPDATE products SET price = $2 WHERE id = $1

-- raise_prices --
-- many rows at once
UPDATE products SET price = price * $3 WHERE id BETWEEN $1 AND $2

-- set_picture --
-- a blob
UPDATE products SET picture = $2 WHERE id = $1

-- set_attributes --
-- JSON
UPDATE products SET attributes = $2 WHERE id = $1

-- get_sku --
-- a product's unique name
SELECT sku FROM products WHERE id = $1

-- set_sku --
-- a product's unique name
UPDATE products SET sku = $2 WHERE id = $1

-- put_limited --
-- a product that comes and goes
INSERT INTO products(sku, price, stock) VALUES($1, $2, 1)
ON CONFLICT(sku) DO UPDATE SET price = excluded.price, stock = products.stock + 1

-- drop_limited --
-- a product that comes and goes
DELETE FROM products WHERE sku = $1

-- put_setting --
-- insert or update
INSERT INTO settings(key, value) VALUES($1, $2) ON CONFLICT(key) DO UPDATE SET value = excluded.value

-- replace_setting --
-- the row of the same key goes without a DELETE trigger
INSERT OR REPLACE INTO settings(key, value) VALUES($1, $2)

-- drop_setting --
-- a setting is forgotten
DELETE FROM settings WHERE key = $1
