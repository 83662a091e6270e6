# Run by the image of PostgreSQL when it makes the database: the gateway owns its own, and is no
# superuser.
psql --username postgres --set ON_ERROR_STOP=1 --set "password=$TOLLGATE_DB_PASSWORD" <<'SQL'
CREATE ROLE tollgate LOGIN PASSWORD :'password';
CREATE DATABASE tollgate OWNER tollgate;
SQL
